# Read by the jobs of this folder: runs mappa so that a task which Slurm ends goes on when it is started again.
# shellcheck shell=bash

say() {
    printf '%s %s\n' "$(date +%H:%M:%S)" "$*"
}

# Reads the settings, and builds the flags of the stages.
# shellcheck disable=SC2034 # the jobs read `what` and `statistics`
settings() {
    # shellcheck source-path=SCRIPTDIR source=experiment.env
    source "$1"
    export RAYON_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}"
    what=(--model "$MODEL" ${DTYPE:+--dtype "$DTYPE"} --compute "${COMPUTE:-f32}" --dataset "$DATASET" --prompt "$PROMPT"
        "${TOKENS[@]}")
    statistics=(--seed "$SEED" --resamples "$RESAMPLES" "${PROBE[@]}")
    say "job $SLURM_JOB_ID, start $((1 + ${SLURM_RESTART_COUNT:-0})), on $(hostname), $RAYON_NUM_THREADS threads"
}

# Runs mappa and passes on what Slurm says:
# - SIGTERM (preempted, requeued, cancelled): mappa is ended; Slurm starts the task again, or does not.
# - SIGUSR1 (time is nearly over; only stages that ask for the signal get it): mappa is ended, and the task
#   put into the queue again, where it goes on from its journal.
# - SIGCONT comes before SIGTERM and means nothing here.
run() {
    local child status=0 ended=''
    say "mappa $*"
    "$MAPPA" --lab "$LAB" "$@" &
    child=$!
    trap 'ended=TERM; kill -TERM "$child" 2>/dev/null || :' TERM
    trap 'ended=USR1; kill -TERM "$child" 2>/dev/null || :' USR1
    trap : CONT
    # A trapped signal ends `wait` before the program ends.
    while kill -0 "$child" 2>/dev/null; do
        wait "$child" || :
    done
    wait "$child" || status=$?
    trap - TERM USR1 CONT
    case "$status:$ended" in
        0:*) say "done" ;;
        *:TERM)
            say "ended by Slurm; the next start goes on from here"
            exit 143
            ;;
        *:USR1) again ;;
        *)
            say "failed with status $status"
            exit "$status"
            ;;
    esac
}

# Puts the task into the queue again.
again() {
    if ((${SLURM_RESTART_COUNT:-0} >= MAX_RESTARTS)); then
        say "time is over, and the task was started $MAX_RESTARTS times again (MAX_RESTARTS); submit.sh goes on"
        exit 1
    fi
    say "time is nearly over: requeued, to go on from here"
    scontrol requeue "$SLURM_JOB_ID"
    # Slurm ends this process.
    sleep 60
    exit 1
}
