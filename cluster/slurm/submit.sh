#!/usr/bin/env bash
# Submits the four stages of one experiment, each after the one before: extract (an array over shards), merge,
# probe (an array over hook points), figures. What was done before is found again.
#
#     submit.sh [SETTINGS]        SETTINGS: experiment.env beside this file, or a copy of it
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
given=${1:-$here/experiment.env}
if [[ ! -f $given ]]; then
    echo "error: $given: no such file; expected settings such as $here/experiment.env" >&2
    exit 1
fi
# shellcheck source-path=SCRIPTDIR source=experiment.env
source "$given"

# A model on the hub is downloaded here, as nodes may have no network.
names=$("$MAPPA" --lab "$LAB" models hook-points "$MODEL")
mapfile -t points <<<"$names"

# The tasks read a copy of the settings, so that an edit does not change what is under way.
mkdir -p "$LAB/slurm"
logs=$(mktemp -d "$(cd "$LAB/slurm" && pwd)/$(date +%Y%m%d-%H%M%S)-XXXX")
chmod 755 "$logs"
cp -- "$given" "$logs/settings.env"

jobs=()
# Half a chain is of no use: where a later stage is refused, the earlier ones are taken back.
take_back() {
    if ((${#jobs[@]} > 0)); then
        scancel "${jobs[@]}"
        echo "error: a stage was refused; the stages before it were cancelled" >&2
    fi
}
trap take_back EXIT

# Submits a stage to run after the last one: its script, what it asks for, `--`, and the script's own arguments.
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
If a job fails, the jobs after it are cancelled. Mend the cause and call submit.sh again: it resumes with what is left.
END
