#!/usr/bin/env bash
# Submits the four stages of one experiment, each of which starts after the previous one: extract (one task per shard),
# merge, probe (one task per hook point), figures. The finished work of an earlier call is reused.
#
#     submit.sh [SETTINGS]        SETTINGS: a copy of experiment.env (default: experiment.env next to this file)
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
given=${1:-$here/experiment.env}
if [[ ! -f $given ]]; then
    echo "error: $given: no such file; expected settings such as $here/experiment.env" >&2
    exit 1
fi
# shellcheck source-path=SCRIPTDIR source=experiment.env
source "$given"

# This downloads a model of the hub, because nodes may have no network.
names=$("$MAPPA" --lab "$LAB" models hook-points "$MODEL")
mapfile -t points <<<"$names"

# The tasks read a copy of the settings, so that a later edit does not change submitted jobs.
mkdir -p "$LAB/slurm"
logs=$(mktemp -d "$(cd "$LAB/slurm" && pwd)/$(date +%Y%m%d-%H%M%S)-XXXX")
chmod 755 "$logs"
cp -- "$given" "$logs/settings.env"

jobs=()
# If Slurm refuses a stage, the stages that were submitted before it are cancelled: without it they are useless.
take_back() {
    if ((${#jobs[@]} > 0)); then
        scancel "${jobs[@]}"
        echo "error: a stage was refused; the stages before it were cancelled" >&2
    fi
}
trap take_back EXIT

# Submits a stage that runs after the previous one. Arguments: its script, options of sbatch, `--`, and the script's
# arguments.
submit() {
    local script=$1 options=() answer
    shift
    while [[ $1 != -- ]]; do
        options+=("$1")
        shift
    done
    shift
    if ((${#jobs[@]} > 0)); then
        options+=("--dependency=afterok:${jobs[-1]}" --kill-on-invalid-dep=yes)
    fi
    answer=$(sbatch --parsable "${ALL_OPTIONS[@]}" "${options[@]}" \
        "$here/$script.sbatch" "$here" "$logs/settings.env" "$@")
    # On a federation of clusters the answer is `job;cluster`.
    jobs+=("${answer%%;*}")
}

submit extract --array="1-$SHARDS" --output="$logs/extract-%a.out" "${EXTRACT_OPTIONS[@]}" --
submit merge --output="$logs/merge.out" "${MERGE_OPTIONS[@]}" --
submit probe --array="0-$((${#points[@]} - 1))" --output="$logs/probe-%a.out" "${PROBE_OPTIONS[@]}" -- \
    "${points[@]}"
submit figures --output="$logs/figures.out" "${FIGURES_OPTIONS[@]}" --
trap - EXIT

cat <<END
extract  job ${jobs[0]}, $SHARDS tasks
merge    job ${jobs[1]}
probe    job ${jobs[2]}, ${#points[@]} tasks
figures  job ${jobs[3]}

watch    squeue --jobs=$(IFS=, && echo "${jobs[*]}")
logs     $logs
cancel   scancel ${jobs[*]}
If a job fails, the jobs after it are cancelled. Remove the cause and call submit.sh again: it reuses finished work.
END
