"""Tests the jobs of cluster/slurm on a real Slurm: starts a cluster of one node on this machine, requeues and kills tasks
while they run, and compares every file with that of a single run.

    python tests/scripts/slurm.py [--mappa target/release/mappa] [--dataset world_place.csv] [--copies 4] [--baselines]
        [--keep]

Installs Debian's packages of Slurm and munge if they are missing (as root, with apt-get), and starts munged, slurmctld
and slurmd with their own key, configuration and state in a temporary folder, on free ports of the loopback address. The
script ends these programs in any case, even after an error. The dataset has several copies of each entity with different
names, so that a task runs long enough to be interrupted. Only Python's standard library is needed. Prints one line per
check and the number of successful checks; the exit status is 1 if a check fails. Not part of the test suite: it needs
the network and some minutes.
"""

import argparse
import csv
import filecmp
import getpass
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
JOBS = ROOT / "cluster/slurm"
MODEL = "atlas"
SHARDS = 4
N_POINTS = 7  # atlas has six blocks
PROGRAMS = {"munged": "munge", "slurmctld": "slurmctld", "slurmd": "slurmd", "sbatch": "slurm-client"}
# The lifetime of a credential: a requeued task may start again only after it.
CREDENTIAL_S = 5
PATIENCE_S = 900


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    built = [ROOT / "target" / profile / "mappa" for profile in ("release", "debug")]
    parser.add_argument("--mappa", type=pathlib.Path, default=next((b for b in built if b.is_file()), built[0]))
    parser.add_argument("--dataset", type=pathlib.Path, default=ROOT / "../shared/data/world_place.csv")
    parser.add_argument("--copies", type=int, default=4, help="the number of copies of each entity")
    parser.add_argument("--baselines", action="store_true", help="compute all baselines too, which takes much longer")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder and print its path")
    return parser.parse_args()


def wait_for(what, is_so, patience=PATIENCE_S, pause=0.2):
    """Calls `is_so` until its result is true, and returns the result."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        found = is_so()
        if found:
            return found
        time.sleep(pause)
    raise TimeoutError(f"waited {patience} s without success for {what}")


def install():
    """Installs the packages of missing programs; in a container, Debian's packages start no daemon."""
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    os.environ["PATH"] = path
    missing = sorted({package for program, package in PROGRAMS.items() if not shutil.which(program)})
    if not missing:
        return
    print(f"installing {' '.join(missing)}", flush=True)
    quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
    subprocess.run(["apt-get", "update", "-qq"], check=True, **quiet)
    subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], check=True, **quiet)


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Cluster:
    """A Slurm cluster of one node with two CPUs: slurmctld, slurmd and munged, with their files in one folder."""

    def __init__(self, folder):
        self.folder = folder
        self.daemons = []
        for name in ("munge", "state", "spool", "logs"):
            (folder / name).mkdir()
        (folder / "key").write_bytes(os.urandom(1024))
        (folder / "key").chmod(0o600)
        self.conf = folder / "slurm.conf"
        self.conf.write_text(self.configuration())
        os.environ["SLURM_CONF"] = str(self.conf)

    def configuration(self):
        folder, user, host = self.folder, getpass.getuser(), socket.gethostname().split(".")[0]
        controller, daemon = free_ports(2)
        settings = {
            "ClusterName": "mappa",
            "SlurmctldHost": f"{host}(127.0.0.1)",
            "SlurmUser": user,
            "SlurmdUser": user,
            "SlurmctldPort": controller,
            "SlurmdPort": daemon,
            # Listen only on the address in SlurmctldHost and NodeName, which is loopback.
            "CommunicationParameters": "NoInAddrAny,NoCtldInAddrAny",
            "AuthType": "auth/munge",
            "AuthInfo": f"socket={folder}/munge/socket,cred_expire={CREDENTIAL_S}",
            "CredType": "cred/munge",
            "StateSaveLocation": folder / "state",
            "SlurmdSpoolDir": folder / "spool",
            "SlurmctldPidFile": folder / "slurmctld.pid",
            "SlurmdPidFile": folder / "slurmd.pid",
            "SlurmctldLogFile": folder / "logs/slurmctld",
            "SlurmdLogFile": folder / "logs/slurmd",
            # Without cgroups and accounting, which a container does not have.
            "ProctrackType": "proctrack/linuxproc",
            "TaskPlugin": "task/none",
            "JobAcctGatherType": "jobacct_gather/none",
            "AccountingStorageType": "accounting_storage/none",
            "JobCompType": "jobcomp/none",
            "SwitchType": "switch/none",
            "MpiDefault": "none",
            "SelectType": "select/cons_tres",
            "SelectTypeParameters": "CR_CPU",
            "JobRequeue": 1,
            "ReturnToService": 2,
            "KillWait": 5,
            "MinJobAge": 3600,
            "SchedulerParameters": "sched_interval=2,bf_interval=2",
            "NodeName": f"node NodeAddr=127.0.0.1 NodeHostname={host} CPUs=2 State=UNKNOWN",
            "PartitionName": "main Nodes=ALL Default=YES MaxTime=INFINITE State=UP",
        }
        return "".join(f"{name}={value}\n" for name, value in settings.items())

    def start(self):
        folder = self.folder
        self.daemon("munged", "--foreground", f"--key-file={folder}/key", f"--socket={folder}/munge/socket",
                    f"--pid-file={folder}/munge/pid", f"--log-file={folder}/munge/log", f"--seed-file={folder}/munge/seed")
        wait_for("munge's socket", lambda: self.alive() and (folder / "munge/socket").exists(), 30)
        self.daemon("slurmctld", "-D", "-f", self.conf)
        self.daemon("slurmd", "-D", "-N", "node", "-f", self.conf)
        wait_for("an idle node", lambda: self.alive() and self.state() == "idle", 60)

    def daemon(self, *words):
        log = open(self.folder / f"logs/{words[0]}.out", "wb")
        # In its own session, so that Ctrl-C ends only this script, which then ends the daemons in the right order.
        process = subprocess.Popen([str(word) for word in words], stdout=log, stderr=log, start_new_session=True)
        self.daemons.append((words[0], process))

    def alive(self):
        for name, process in self.daemons:
            if process.poll() is not None:
                raise RuntimeError(f"{name} ended with {process.returncode}")
        return True

    @staticmethod
    def state():
        found = subprocess.run(["sinfo", "--noheader", "--format=%T"], capture_output=True, text=True)
        return found.stdout.strip()

    def stop(self):
        """Cancels all jobs, and ends the daemons that `start` started."""
        if len(self.daemons) == 3 and self.daemons[1][1].poll() is None:
            subprocess.run(["scancel", "--user", getpass.getuser()], capture_output=True)
            try:
                wait_for("an empty queue", lambda: not squeue("--all"), 30)
            except TimeoutError as error:
                print(error)
        for name, process in reversed(self.daemons):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                print(f"{name} did not end after SIGTERM: killed")
                process.kill()
                process.wait()
        self.daemons.clear()

    def print_logs(self):
        for log in sorted([*(self.folder / "logs").iterdir(), self.folder / "munge/log"]):
            if log.is_file() and log.stat().st_size:
                print(f"--- the last lines of {log.name}")
                print("\n".join(log.read_text(errors="replace").splitlines()[-25:]))


def slurm(*words):
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True).stdout


def squeue(*words):
    return slurm("squeue", "--noheader", "--array", "--format=%i %T %r", *words).splitlines()


def record(job):
    """The fields that the controller has of a job, or of one task of an array."""
    words = slurm("scontrol", "show", "job", job).split()
    return dict(word.split("=", 1) for word in words if "=" in word)


class Checks:
    """Prints one line per check, and counts the checks and the successful ones."""

    def __init__(self):
        self.n, self.n_good = 0, 0

    def __call__(self, holds, words):
        self.n += 1
        self.n_good += bool(holds)
        print(f"{'ok' if holds else 'NOT OK':<7}{words}", flush=True)


class Experiment:
    """The four stages with their own lab and settings."""

    def __init__(self, options, lab):
        self.options, self.lab = options, lab
        self.store = lab / "activations" / MODEL / options.dataset.stem / "empty"
        lab.mkdir()
        self.settings = lab / "experiment.env"
        settings = {"MODEL": MODEL, "DATASET": options.dataset, "MAPPA": options.mappa, "LAB": lab, "SHARDS": SHARDS}
        flags = " ".join(options.probe_flags)
        text = (JOBS / "experiment.env").read_text()
        for name, value in settings.items():
            text, n = re.subn(rf"^{name}=.*$", lambda _: f"{name}={shlex.quote(str(value))}", text, flags=re.MULTILINE)
            assert n == 1, name
        text, n = re.subn(r"^PROBE=.*$", f"PROBE=({flags})", text, flags=re.MULTILINE)
        assert n == 1
        # The node has two CPUs, and its configuration has no memory size, so jobs must not request memory.
        text, n = re.subn(r"--cpus-per-task=\d+ --mem=\S+ ", "--cpus-per-task=1 ", text)
        assert n == 4
        self.settings.write_text(text)

    def submit(self):
        """Submits all stages; stores the jobs' numbers and the folder of their logs."""
        printed = slurm(JOBS / "submit.sh", self.settings)
        self.jobs = dict(re.findall(r"^(\w+) +job (\d+)", printed, re.MULTILINE))
        self.logs = pathlib.Path(re.search(r"^logs +(.+)$", printed, re.MULTILINE)[1])
        return printed

    def task(self, shard):
        return f"{self.jobs['extract']}_{shard}"

    def signal(self, name, shard):
        """Sends a signal to a task, by the task's own JobId: for the name ARRAY_TASK, scancel would send the signal
        again some seconds later, after the task's restart."""
        # SIGKILL is sent to all processes of the task, as if its node were lost; other signals only to the script.
        whom = "--full" if name == "KILL" else "--batch"
        slurm("scancel", f"--signal={name}", whom, record(self.task(shard))["JobId"])

    def journal(self, shard):
        """The number of finished batches in a shard's journal; None if the shard has no journal."""
        path = self.store / f".shards/{shard}-of-{SHARDS}/.partial/journal.csv"
        try:
            return path.read_text().count("\n")
        except FileNotFoundError:
            return None

    def is_finished(self, shard):
        return (self.store / f".shards/{shard}-of-{SHARDS}/card.json").is_file()

    def in_the_middle(self, shard):
        """Waits until a shard has finished some of its batches, but not all; returns their number."""
        def looked():
            if self.is_finished(shard):
                raise RuntimeError(f"shard {shard} was finished before it could be interrupted; use more --copies")
            return self.journal(shard)
        return wait_for(f"the first batches of shard {shard}", looked, pause=0.02)

    def log(self, name):
        path = self.logs / f"{name}.out"
        return path.read_text() if path.is_file() else ""

    def wait(self):
        """Waits until none of the jobs is in the queue; returns the state of each."""
        ids = ",".join(self.jobs.values())
        wait_for("the jobs' end", lambda: not squeue("--jobs", ids), pause=1)
        return {name: record(job)["JobState"] for name, job in self.jobs.items()}


def mappa(options, lab, *words):
    """Runs mappa on one thread, like the tasks."""
    words = [options.mappa, "--lab", lab, *words, "--model", MODEL, "--dataset", options.dataset]
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True,
                          env={**os.environ, "RAYON_NUM_THREADS": "1"})
    if done.returncode != 0:
        sys.exit(f"mappa {words[3]} ended with {done.returncode}: {done.stderr}")


def files(lab, folder):
    """The files of a folder of a lab, without unfinished files and the inputs of merges (names with a leading dot)."""
    names = [path.relative_to(lab / folder) for path in (lab / folder).rglob("*") if path.is_file()]
    return sorted(name for name in names if not any(part.startswith(".") for part in name.parts))


def card(path):
    """A card's inputs and notes; its command and date differ from run to run."""
    read = json.loads(path.read_text())
    return read["inputs"], read["notes"]


def compare(check, single, lab, folder):
    """Checks that two labs have the same files in a folder, with the same bytes."""
    names = files(single, folder)
    differ = [str(name) for name in names if not same(single / folder / name, lab / folder / name)]
    odd = [str(name) for name in files(lab, folder) if name not in names]
    n_bytes = sum((single / folder / name).stat().st_size for name in names)
    words = f"{folder}: {len(names)} files, {n_bytes} bytes, as the single run wrote them"
    check(names and not differ and not odd, words + (f"; differ: {differ}, too many: {odd}" if differ or odd else ""))


def same(one, other):
    if not other.is_file():
        return False
    return card(one) == card(other) if one.name == "card.json" else filecmp.cmp(one, other, shallow=False)


def requeued_while_running(check, options, folder):
    """Scenario 1: one task is requeued, another gets the signal that its time limit is near; both resume, and all jobs
    succeed."""
    run = Experiment(options, folder / "requeued while running")
    print(run.submit())
    before, kept = {}, {}
    for shard in [1, 2]:
        before[shard] = run.in_the_middle(shard)
        if shard == 1:
            slurm("scontrol", "requeue", run.task(shard))
        else:
            run.signal("USR1", shard)
        # Checked before the next task is interrupted, because the task soon leaves the queue.
        wait_for(f"task {shard} in the queue", lambda: record(run.task(shard))["JobState"] == "PENDING", 60)
        kept[shard] = run.journal(shard)
        words = f"task {shard} was interrupted after {before[shard]} batches and is queued again; its journal has {kept[shard]}"
        check(before[shard] >= 1 and not run.is_finished(shard) and kept[shard] >= before[shard], words)
    states = run.wait()
    check(set(states.values()) == {"COMPLETED"}, f"all jobs have succeeded: {states}")
    restarts = [int(record(run.task(shard))["Restarts"]) for shard in range(1, SHARDS + 1)]
    check(restarts == [1, 1, 0, 0], f"restarts of each task: {restarts}")
    check("ended by Slurm" in run.log("extract-1"), "the log of task 1 says that Slurm ended it")
    check("time is nearly over" in run.log("extract-2"), "the log of task 2 says that its time was nearly over")
    for shard in before:
        said = went_on(run.log(f"extract-{shard}"))
        check(said == kept[shard], f"task {shard} resumed after {said} batches")
    return run


def went_on(log):
    """The number of finished batches that the second start reported, from the task's log."""
    found = re.findall(r"(\d+) batches", log.split("start 2")[-1])
    return int(found[0]) if found else None


def killed_and_submitted_again(check, options, folder):
    """Scenario 2: a task is killed; the later stages are cancelled, and a second `submit.sh` computes only the rest."""
    run = Experiment(options, folder / "killed and submitted again")
    run.submit()
    before = run.in_the_middle(1)
    run.signal("KILL", 1)
    first = run.wait()
    states = {shard: record(run.task(shard))["JobState"] for shard in range(1, SHARDS + 1)}
    check(states[1] != "COMPLETED" and [states[shard] for shard in range(2, SHARDS + 1)] == ["COMPLETED"] * (SHARDS - 1),
          f"task 1 was killed after {before} batches; the states of all tasks: {states}")
    later = [first[name] for name in ("merge", "probe", "figures")]
    check(later == ["CANCELLED"] * 3 and not (run.store / "card.json").exists(), f"the later stages: {later}; there is no merged store")
    left = run.journal(1)
    run.submit()
    states = run.wait()
    check(set(states.values()) == {"COMPLETED"}, f"after the second submission, all jobs have succeeded: {states}")
    found = [shard for shard in range(1, SHARDS + 1) if "found, extracted before" in run.log(f"extract-{shard}")]
    check(found == list(range(2, SHARDS + 1)), f"tasks that found their shard finished: {found}")
    check(left and left >= before and went_on(run.log("extract-1")) == left, f"task 1 resumed after {left} batches")
    return run


def enlarged(options, folder):
    """Writes the dataset with several copies of each entity; from the second copy on, the name ends with a number."""
    with open(options.dataset, encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    name = header.index("name")
    path = folder / options.dataset.name
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for copy in range(1, options.copies + 1):
            for row in rows:
                writer.writerow([*row[:name], row[name] if copy == 1 else f"{row[name]} {copy}", *row[name + 1 :]])
    return path


def leftovers(folder):
    """The commands of the running processes that have the folder in an argument."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue  # the process has ended
        if int(path.parent.name) != os.getpid() and any(str(folder) in word for word in words):
            found.append(" ".join(words))
    return found


def run_all(options, folder):
    check = Checks()
    install()
    options.dataset = enlarged(options, folder)
    single = folder / "single"
    began = time.monotonic()
    mappa(options, single, "extract")
    extracted = time.monotonic()
    mappa(options, single, "probe", *options.probe_flags)
    print(f"single run: {extracted - began:.0f} s to extract, {time.monotonic() - extracted:.0f} s to probe", flush=True)
    (folder / "cluster").mkdir()
    cluster = Cluster(folder / "cluster")
    try:
        cluster.start()
        print(slurm("sinfo", "--version").strip(), flush=True)
        check(cluster.state() == "idle", "the node is idle")
        for scenario in (requeued_while_running, killed_and_submitted_again):
            run = scenario(check, options, folder)
            for part in ("activations", "probes", "figures"):
                compare(check, single, run.lab, part)
    except BaseException:
        cluster.print_logs()
        raise
    finally:
        cluster.stop()
    left = leftovers(folder)
    check(not left, f"no process of the cluster is still running{': ' + str(left) if left else ''}")
    print(f"{check.n_good} of {check.n} checks succeeded")
    return 0 if check.n_good == check.n else 1


def main():
    options = arguments()
    options.probe_flags = [] if options.baselines else ["--no-baselines"]
    options.mappa, options.dataset = options.mappa.resolve(), options.dataset.resolve()
    # SIGTERM raises SystemExit, so that the `finally` blocks end the cluster.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mappa-slurm-"))
    folder.chmod(0o755)
    try:
        return run_all(options, folder)
    finally:
        if options.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
