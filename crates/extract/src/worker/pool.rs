//! The parent's side: a pool of workers, each used for many files and given up at the first sign of trouble.

use std::{
    io,
    path::PathBuf,
    process::{Child as Process, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use fontes_core::Cancel;
use serde::{Deserialize, Serialize};

use super::{
    protocol::{self, Ready, Request, Setup},
    sandbox::Mechanism,
};
use crate::{Child, ExtractError, Extraction, ParseLimits};

/// How often a wait looks at the cancel flag and the clock.
const TICK: Duration = Duration::from_millis(20);

/// Time for a worker to start and confine itself. Machines under full load start processes slowly.
const START_TIME: Duration = Duration::from_secs(30);

/// Bytes of a worker's error output kept to tell one death from another. Never shown: they may hold text.
const STDERR_BYTES: usize = 4096;

/// How to start a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerCommand {
    /// The program, usually the running binary itself.
    pub program: PathBuf,
    /// Its arguments, usually `extract-worker`.
    pub args: Vec<String>,
}

/// What a worker may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkerLimits {
    /// Limits on the content of a file.
    pub parse: ParseLimits,
    /// Wall-clock seconds per file, after which the worker is killed. A 1,600-page PDF takes some 15 s.
    pub wall_seconds: u64,
    /// Processor seconds per file; stops a worker even if its parent hangs.
    pub cpu_seconds: u64,
    /// Address space of a worker in bytes. 1 GiB held every honest file and contained every bomb measured.
    pub memory_bytes: u64,
    /// Files after which a worker is replaced, against creeping fragmentation and leaks.
    pub files_per_worker: u64,
    /// Refuse to parse where the platform lacks a layer of the sandbox (else it is only reported).
    pub require_sandbox: bool,
}

impl Default for WorkerLimits {
    fn default() -> Self {
        Self {
            parse: ParseLimits::default(),
            wall_seconds: 60,
            cpu_seconds: 60,
            memory_bytes: 1 << 30,
            files_per_worker: 200,
            require_sandbox: false,
        }
    }
}

/// One file of a tree of files, as [`WorkerPool::extract_tree`] reports it.
#[derive(Debug)]
pub struct Part<'a> {
    /// Path below the outermost file, parts joined by `!/`; empty for that file itself.
    pub path_inside: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// What came of it; the children were taken out and follow as parts.
    pub result: Result<Extraction, ExtractError>,
}

/// Parses files in child processes, at most `size` at a time. Shared between threads by reference.
#[derive(Debug)]
pub struct WorkerPool {
    command: WorkerCommand,
    limits: WorkerLimits,
    state: Mutex<State>,
    slot_freed: Condvar,
}

#[derive(Debug)]
struct State {
    free_slots: usize,
    idle: Vec<Worker>,
}

impl WorkerPool {
    /// Makes a pool of up to `size` workers (at least one). Processes start when files come.
    pub fn new(command: WorkerCommand, limits: WorkerLimits, size: usize) -> Self {
        let state = Mutex::new(State { free_slots: size.max(1), idle: Vec::new() });
        Self { command, limits, state, slot_freed: Condvar::new() }
    }

    /// The limits in force.
    pub fn limits(&self) -> &WorkerLimits {
        &self.limits
    }

    /// Parses one file in a worker; waits for a free one. Deterministic: the same bytes and name give the
    /// same result, whatever was parsed before.
    ///
    /// # Errors
    /// Whatever is wrong with the file, see [`ExtractError`]; [`ExtractError::WorkerUnavailable`] when no
    /// worker can be started, which says nothing about the file.
    pub fn extract(&self, bytes: &[u8], name: &str, cancel: &Cancel) -> Result<Extraction, ExtractError> {
        let size = bytes.len() as u64;
        if size > self.limits.parse.file_bytes {
            return Err(ExtractError::TooLarge { bytes: size, limit: self.limits.parse.file_bytes });
        }
        let slot = self.acquire(cancel)?;
        loop {
            let mut worker = match self.lock().idle.pop() {
                Some(worker) => worker,
                None => Worker::start(&self.command, &self.limits)?,
            };
            let used = worker.files > 0;
            let result = worker.extract(bytes, name, cancel, &self.limits);
            // A worker that served others may have died of what they left behind: try once in a fresh one.
            let sick = matches!(result, Err(ExtractError::Crashed { .. } | ExtractError::OutOfMemory { .. }));
            if worker.alive && !sick && worker.files < self.limits.files_per_worker {
                self.lock().idle.push(worker);
            }
            if !(sick && used) {
                drop(slot);
                return result;
            }
        }
    }

    /// Parses a file and, depth first, every file inside it, each in its own turn through a worker: a bomb
    /// in an attachment costs the attachment. Each result goes to `visit` as it comes.
    ///
    /// Children deeper than the depth limit, or past the limit of children or of bytes, are visited with
    /// [`ExtractError::Limit`]. Stops early when `cancel` is set (the rest is visited as cancelled once).
    pub fn extract_tree(&self, bytes: &[u8], name: &str, cancel: &Cancel, visit: &mut dyn FnMut(Part<'_>)) {
        let limits = &self.limits.parse;
        let (children, result) = take_children(self.extract(bytes, name, cancel));
        visit(Part { path_inside: "", bytes, result });
        let queue = |children: Vec<Child>, prefix: &str, depth: u32| -> Vec<(String, u32, Child)> {
            let path = |child: &Child| match prefix {
                "" => child.path_inside.clone(),
                prefix => format!("{prefix}!/{}", child.path_inside),
            };
            children.into_iter().rev().map(|child| (path(&child), depth, child)).collect()
        };
        let mut waiting = queue(children, "", 1);
        let (mut count, mut total) = (0_u64, 0_u64);
        while let Some((path, depth, child)) = waiting.pop() {
            count += 1;
            total += child.bytes.len() as u64;
            let result = match () {
                () if depth > limits.depth => Err(ExtractError::limit("nesting of files in files", limits.depth)),
                () if count > limits.children => Err(ExtractError::limit("number of files inside", limits.children)),
                () if total > limits.inflated_bytes => {
                    Err(ExtractError::limit("bytes of the files inside", limits.inflated_bytes))
                }
                () => self.extract(&child.bytes, &child.name, cancel),
            };
            let cancelled = matches!(result, Err(ExtractError::Cancelled));
            let (children, result) = take_children(result);
            visit(Part { path_inside: &path, bytes: &child.bytes, result });
            if cancelled || count > limits.children {
                return;
            }
            waiting.extend(queue(children, &path, depth + 1));
        }
    }

    /// Starts a worker if none is idle and tells which layers of the sandbox hold it.
    ///
    /// # Errors
    /// [`ExtractError::WorkerUnavailable`].
    pub fn sandbox(&self) -> Result<Vec<Mechanism>, ExtractError> {
        let _slot = self.acquire(&Cancel::default())?;
        let worker = match self.lock().idle.pop() {
            Some(worker) => worker,
            None => Worker::start(&self.command, &self.limits)?,
        };
        let sandbox = worker.sandbox.clone();
        self.lock().idle.push(worker);
        Ok(sandbox)
    }

    fn acquire(&self, cancel: &Cancel) -> Result<Slot<'_>, ExtractError> {
        let mut state = self.lock();
        loop {
            if cancel.is_cancelled() {
                return Err(ExtractError::Cancelled);
            }
            if state.free_slots > 0 {
                state.free_slots -= 1;
                return Ok(Slot(self));
            }
            let waited = self.slot_freed.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner);
            state = waited.0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take_children(result: Result<Extraction, ExtractError>) -> (Vec<Child>, Result<Extraction, ExtractError>) {
    match result {
        Ok(mut extraction) => (std::mem::take(&mut extraction.children), Ok(extraction)),
        Err(error) => (Vec::new(), Err(error)),
    }
}

/// The right to run one worker; given back on drop.
struct Slot<'a>(&'a WorkerPool);

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.lock().free_slots += 1;
        self.0.slot_freed.notify_one();
    }
}

/// A running worker process.
#[derive(Debug)]
struct Worker {
    process: Process,
    pipes: Option<(ChildStdin, ChildStdout)>,
    stderr: Arc<Mutex<Vec<u8>>>,
    sandbox: Vec<Mechanism>,
    files: u64,
    alive: bool,
}

impl Worker {
    fn start(command: &WorkerCommand, limits: &WorkerLimits) -> Result<Self, ExtractError> {
        let unavailable = |what: String| ExtractError::WorkerUnavailable { what };
        let mut process = Command::new(&command.program)
            .args(&command.args)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| unavailable(format!("{} does not start: {error}", command.program.display())))?;
        let stderr = Arc::new(Mutex::new(Vec::new()));
        if let Some(pipe) = process.stderr.take() {
            let kept = Arc::clone(&stderr);
            thread::spawn(move || keep_tail(pipe, &kept));
        }
        let pipes = process.stdin.take().zip(process.stdout.take());
        let mut worker = Self { process, pipes, stderr, sandbox: Vec::new(), files: 0, alive: true };
        let setup = Setup {
            parse: limits.parse.clone(),
            memory_bytes: limits.memory_bytes,
            cpu_seconds: limits.cpu_seconds,
            files: limits.files_per_worker,
            require_sandbox: limits.require_sandbox,
        };
        let greeting = worker.exchange(START_TIME, &Cancel::default(), |stdin, stdout| {
            protocol::write(stdin, &setup, &[])?;
            protocol::skip_to_preamble(stdout)?;
            Ok(protocol::read::<Ready>(stdout, 0)?.0)
        });
        let ready = match greeting {
            Ok(ready) => ready,
            Err(failure) => return Err(unavailable(format!("{}: {failure:?}", command.program.display()))),
        };
        if let Some(refusal) = ready.refusal {
            return Err(unavailable(refusal));
        }
        worker.sandbox = ready.sandbox;
        Ok(worker)
    }

    fn extract(
        &mut self,
        bytes: &[u8],
        name: &str,
        cancel: &Cancel,
        limits: &WorkerLimits,
    ) -> Result<Extraction, ExtractError> {
        self.files += 1;
        let request = Request { name: name.to_owned() };
        let outcome = self.exchange(Duration::from_secs(limits.wall_seconds), cancel, |stdin, stdout| {
            protocol::write(stdin, &request, &[bytes])?;
            protocol::read_result(stdout, &limits.parse)
        });
        match outcome {
            Ok(result) => result,
            Err(Failure::Cancelled) => Err(ExtractError::Cancelled),
            Err(Failure::TimedOut) => Err(ExtractError::TimedOut { seconds: limits.wall_seconds }),
            Err(Failure::Garbled(error)) => Err(ExtractError::Crashed { how: error.to_string() }),
            Err(Failure::Died(status)) => Err(self.cause_of_death(status, limits)),
        }
    }

    /// Runs `talk` on the pipes from a thread of its own while this one holds the clock. Anything but success
    /// kills the process; then the pipes break and the thread ends.
    fn exchange<T: Send>(
        &mut self,
        time: Duration,
        cancel: &Cancel,
        talk: impl FnOnce(&mut ChildStdin, &mut ChildStdout) -> io::Result<T> + Send,
    ) -> Result<T, Failure> {
        let Some((stdin, stdout)) = &mut self.pipes else { return Err(Failure::Garbled(io::Error::other("no pipes"))) };
        let process = &mut self.process;
        let deadline = Instant::now() + time;
        let outcome = thread::scope(|scope| {
            let (sender, receiver) = mpsc::channel();
            scope.spawn(move || {
                // The receiver is gone only after it killed the process.
                let _ = sender.send(talk(stdin, stdout));
            });
            loop {
                let failure = match receiver.recv_timeout(TICK) {
                    Ok(Ok(value)) => return Ok(value),
                    Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => Failure::Garbled(error),
                    Ok(Err(_)) | Err(mpsc::RecvTimeoutError::Disconnected) => Failure::Died(None),
                    Err(_) if cancel.is_cancelled() => Failure::Cancelled,
                    Err(_) if Instant::now() >= deadline => Failure::TimedOut,
                    Err(_) => continue,
                };
                if !matches!(failure, Failure::Died(_)) {
                    let _ = process.kill();
                }
                return Err(failure);
            }
        });
        outcome.map_err(|failure| {
            self.alive = false;
            self.pipes = None;
            let status = self.process.wait().ok();
            if let Failure::Died(_) = failure { Failure::Died(status) } else { failure }
        })
    }

    /// Tells deaths apart by exit status and error output.
    fn cause_of_death(&self, status: Option<ExitStatus>, limits: &WorkerLimits) -> ExtractError {
        use std::os::unix::process::ExitStatusExt as _;
        // The tail is complete when the reading thread has seen the end; it lags by a moment at most.
        thread::sleep(TICK);
        let stderr = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        let stderr = String::from_utf8_lossy(&stderr);
        let memory = ExtractError::OutOfMemory { limit_bytes: limits.memory_bytes };
        let crashed = |how: &str| ExtractError::Crashed { how: how.to_owned() };
        let no_memory = status.and_then(|status| status.code()) == Some(protocol::EXIT_NO_MEMORY);
        if no_memory || stderr.contains("memory allocation of") {
            return memory;
        }
        if stderr.contains("overflowed its stack") {
            return crashed("stack overflow");
        }
        match status.and_then(|status| status.signal()) {
            Some(libc::SIGXCPU) => ExtractError::TimedOut { seconds: limits.cpu_seconds },
            // Nobody here killed it: the kernel did, for memory.
            Some(libc::SIGKILL) => memory,
            Some(libc::SIGSEGV) => crashed("segmentation fault"),
            Some(libc::SIGABRT) => crashed("abort"),
            Some(signal) => crashed(&format!("signal {signal}")),
            None => crashed("the worker ended without a result"),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Closing the input ends the worker; killing makes sure, waiting leaves no zombie.
        self.pipes = None;
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Why an exchange with a worker failed.
#[derive(Debug)]
enum Failure {
    Cancelled,
    TimedOut,
    Garbled(io::Error),
    Died(Option<ExitStatus>),
}

/// Reads to the end, keeping the last bytes.
fn keep_tail(mut pipe: impl io::Read, kept: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 1024];
    while let Ok(read @ 1..) = pipe.by_ref().read(&mut buffer) {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(&buffer[..read]);
        let excess = kept.len().saturating_sub(STDERR_BYTES);
        kept.drain(..excess);
    }
}
