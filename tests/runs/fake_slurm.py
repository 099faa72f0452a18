"""Slurm's commands, for one machine: a job is a process group, and what it says of itself are files."""

import stat
from pathlib import Path

import submitit

SCRIPT = r"""#!/bin/bash
# one file a fact: jobs/N/{state,pid,requeue}
jobs=@JOBS@
case $(basename "$0") in
sbatch)
  if grep -q "partition=nowhere" "$1"; then
    echo "sbatch: error: invalid partition specified: nowhere" >&2
    exit 1
  fi
  n=1
  until mkdir "$jobs/$n" 2>/dev/null; do n=$((n + 1)); done
  cp "$1" "$jobs/$n/script"
  echo PENDING > "$jobs/$n/state"
  SLURM_JOB_ID=$n SLURM_PROCID=0 setsid bash -c '
    say() { echo "$1" > "$0/.state"; mv "$0/.state" "$0/state"; }  # whole at any moment
    while :; do
      say RUNNING
      bash "$0/script"
      ended=$?
      [ -e "$0/requeue" ] || break
      rm "$0/requeue"
      say PENDING
    done
    if [ -e "$0/cancelled" ]; then say "CANCELLED by 0"
    elif [ $ended = 0 ]; then say COMPLETED; else say FAILED; fi
  ' "$jobs/$n" > /dev/null 2>&1 < /dev/null &
  echo "Submitted batch job $n"
  ;;
srun)
  while [[ $1 == --* ]]; do
    case $1 in
    --output) out=${2//%j/$SLURM_JOB_ID}; shift 2 ;;
    --error) err=${2//%j/$SLURM_JOB_ID}; shift 2 ;;
    *) shift ;;
    esac
  done
  echo $$ > "$jobs/$SLURM_JOB_ID/pid"
  exec "$@" >> "${out//%t/0}" 2>> "${err//%t/0}"
  ;;
scontrol) touch "$jobs/$2/requeue" ;;
scancel)
  number=TERM
  [[ $1 == --signal=* ]] && number=${1#--signal=} && shift || touch "$jobs/$1/cancelled"
  [ -e "$jobs/$1/pid" ] || { echo "scancel: error: Invalid job id $1" >&2; exit 1; }
  kill -s "$number" "$(cat "$jobs/$1/pid")"
  ;;
sacct)
  echo "JobID|State|NodeList"
  [ -e "$jobs/$5/state" ] && echo "$5|$(cat "$jobs/$5/state")|here"
  ;;
esac
exit 0
"""


def install(folder: Path) -> Path:
    """Puts the commands into a folder, for ``PATH``; jobs are kept beside them, and count from 1 again."""
    submitit.SlurmJob.watcher.clear()  # which remembers how jobs of these numbers ended
    commands, jobs = folder / "bin", folder / "jobs"
    commands.mkdir()
    jobs.mkdir()
    script = commands / "slurm"
    script.write_text(SCRIPT.replace("@JOBS@", str(jobs)))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    for name in ("sbatch", "srun", "scontrol", "scancel", "sacct"):
        (commands / name).symlink_to("slurm")
    return commands
