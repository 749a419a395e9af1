# Functions for the jobs of this folder: they run mappa so that a task that Slurm ends resumes when Slurm restarts it.
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

# Runs mappa and reacts to Slurm's signals:
# - SIGTERM (preempted, requeued or cancelled): ends mappa. Slurm restarts the task unless it was cancelled.
# - SIGUSR1 (the time limit is near; only the extract stage requests this signal): ends mappa and requeues the task, which
#   resumes from its journal.
# - SIGCONT is sent before SIGTERM and is ignored.
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
            say "ended by Slurm; the next start resumes from here"
            exit 143
            ;;
        *:USR1) again ;;
        *)
            say "failed with status $status"
            exit "$status"
            ;;
    esac
}

# Requeues the task, unless it was restarted too often.
again() {
    if ((${SLURM_RESTART_COUNT:-0} >= MAX_RESTARTS)); then
        say "time is nearly over, and MAX_RESTARTS ($MAX_RESTARTS) is reached: not requeued; call submit.sh to resume"
        exit 1
    fi
    say "time is nearly over: requeued; the next start resumes from here"
    scontrol requeue "$SLURM_JOB_ID"
    # Slurm ends this process.
    sleep 60
    exit 1
}
