//! The rights a worker gives up, and what the platform lacks for it.
//!
//! Layers, each enough against most of what a taken-over parser could try: resource limits (memory,
//! processor time, no file growth, few descriptors, no core dump), no new privileges, Landlock without any
//! rule (no path can be opened, no TCP port bound or connected), and a seccomp list of the few system calls
//! that parsing needs; all others fail with `EPERM`, among them `socket`, `connect`, `execve`, `clone` and
//! `ptrace`. Seccomp is needed beside Landlock because Landlock lets UDP pass.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::protocol::Setup;

/// Descriptors a worker may hold: standard ones, the copy of its output, and a few for libraries.
const OPEN_FILES: u64 = 16;

/// One layer of the sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mechanism {
    /// Its name: `rlimits`, `no_new_privs`, `landlock`, `seccomp`.
    pub name: String,
    /// Whether it holds.
    pub active: bool,
    /// What it does, or why it does not hold.
    pub detail: String,
}

impl Mechanism {
    fn new(name: &str, outcome: Result<String, String>) -> Self {
        let active = outcome.is_ok();
        Self { name: name.to_owned(), active, detail: outcome.unwrap_or_else(|why| why) }
    }
}

/// Tells which layers this machine offers, for `fontes doctor`. Tries each on a thread of its own, which
/// then ends; the process itself is not restricted.
pub fn sandbox_report() -> Vec<Mechanism> {
    let probe = std::thread::spawn(|| {
        let privileges = deny_new_privileges();
        vec![privileges, deny_paths(), platform::filter(false)]
    });
    let mut report = vec![Mechanism::new("rlimits", Ok("set by each worker for itself".into()))];
    report.extend(probe.join().unwrap_or_default());
    report
}

/// Applies the layers that hold for the whole process; called before other threads exist.
pub(super) fn limit_process(setup: &Setup) -> Vec<Mechanism> {
    vec![limit_resources(setup), deny_new_privileges(), deny_paths()]
}

/// Applies the system call filter to every thread.
pub(super) fn filter_system_calls() -> Mechanism {
    platform::filter(true)
}

/// Applies the layers under which a foreign program reads one page: system files can be read and run, nothing
/// can be written, no socket made.
pub(super) fn limit_program(setup: &Setup) -> Vec<Mechanism> {
    vec![
        limit_resources(setup),
        deny_new_privileges(),
        Mechanism::new("landlock", platform::landlock_to_system()),
        platform::refuse(),
    ]
}

/// Allows `seconds` more of processor time, for the next file.
pub(super) fn grant_cpu(seconds: u64) {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime).tv_sec;
    let soft = u64::try_from(used).unwrap_or(0) + seconds + 1;
    let maximum = getrlimit(Resource::Cpu).maximum;
    let current = Some(maximum.map_or(soft, |maximum| soft.min(maximum)));
    // Failing here leaves the earlier, lower limit: the worker ends early and the file is retried.
    let _ = setrlimit(Resource::Cpu, Rlimit { current, maximum });
}

fn limit_resources(setup: &Setup) -> Mechanism {
    let limit = |value: u64| Rlimit { current: Some(value), maximum: Some(value) };
    let cpu = setup.cpu_seconds.saturating_add(1).saturating_mul(setup.files.max(1));
    let limits = [
        (Resource::As, setup.memory_bytes, "address space"),
        (Resource::Cpu, cpu, "processor time"),
        (Resource::Fsize, 0, "file size"),
        (Resource::Core, 0, "core dump"),
        (Resource::Nofile, OPEN_FILES, "open files"),
    ];
    let failed: Vec<String> = limits
        .into_iter()
        .filter_map(|(resource, value, name)| {
            let error = setrlimit(resource, limit(value)).err()?;
            Some(format!("{name}: {error}"))
        })
        .collect();
    let outcome = if failed.is_empty() {
        Ok(format!("{} MiB memory, {} s processor time per file", setup.memory_bytes >> 20, setup.cpu_seconds))
    } else {
        Err(failed.join(", "))
    };
    Mechanism::new("rlimits", outcome)
}

fn deny_new_privileges() -> Mechanism {
    Mechanism::new("no_new_privs", platform::no_new_privileges())
}

fn deny_paths() -> Mechanism {
    Mechanism::new("landlock", platform::landlock())
}

#[cfg(target_os = "linux")]
mod platform {
    //! Linux: prctl, Landlock, seccomp.

    use std::collections::BTreeMap;

    use landlock::{
        ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
        RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope, path_beneath_rules,
    };
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

    use super::Mechanism;

    pub fn no_new_privileges() -> Result<String, String> {
        rustix::thread::set_no_new_privs(true).map_err(|error| error.to_string())?;
        Ok("no privileges can be gained".into())
    }

    pub fn landlock() -> Result<String, String> {
        let restrict = || -> Result<RulesetStatus, RulesetError> {
            let ruleset = Ruleset::default()
                .set_compatibility(CompatLevel::BestEffort)
                .handle_access(AccessFs::from_all(ABI::V5))?
                .handle_access(AccessNet::from_all(ABI::V5))?
                .scope(Scope::from_all(ABI::V6))?;
            Ok(ruleset.create()?.restrict_self()?.ruleset)
        };
        match restrict() {
            Ok(RulesetStatus::FullyEnforced) => Ok("no path can be opened, no TCP port used".into()),
            Ok(RulesetStatus::PartiallyEnforced) => Ok("no path can be opened; an older kernel lacks the rest".into()),
            Ok(RulesetStatus::NotEnforced) => Err("this kernel has no Landlock or it is switched off".into()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Where system programs, their libraries and data live.
    const SYSTEM: &[&str] = &["/usr", "/lib", "/lib64", "/bin", "/opt", "/etc/ld.so.cache", "/nix/store"];

    /// As [`landlock`], but system files can be read and run.
    pub fn landlock_to_system() -> Result<String, String> {
        let restrict = || -> Result<RulesetStatus, RulesetError> {
            let ruleset = Ruleset::default()
                .set_compatibility(CompatLevel::BestEffort)
                .handle_access(AccessFs::from_all(ABI::V5))?
                .handle_access(AccessNet::from_all(ABI::V5))?
                .scope(Scope::from_all(ABI::V6))?
                .create()?
                .add_rules(path_beneath_rules(SYSTEM, AccessFs::from_read(ABI::V5)))?;
            Ok(ruleset.restrict_self()?.ruleset)
        };
        match restrict() {
            Ok(RulesetStatus::NotEnforced) => Err("this kernel has no Landlock or it is switched off".into()),
            Ok(_) => Ok("system files can be read, nothing written, no TCP port used".into()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Refuses what text recognition never needs; a foreign program's full list of calls is not ours to know.
    pub fn refuse() -> Mechanism {
        let apply = || -> Result<(), String> {
            let program = compiled(REFUSED, SeccompAction::Allow, denied())?;
            seccompiler::apply_filter(&program).map_err(|error| error.to_string())
        };
        Mechanism::new("seccomp", apply().map(|()| format!("{} system calls refused", REFUSED.len())))
    }

    pub fn filter(all_threads: bool) -> Mechanism {
        let apply = || -> Result<(), String> {
            let program = program()?;
            let applied = if all_threads {
                seccompiler::apply_filter_all_threads(&program)
            } else {
                seccompiler::apply_filter(&program)
            };
            applied.map_err(|error| error.to_string())
        };
        Mechanism::new("seccomp", apply().map(|()| format!("{} system calls allowed", ALLOWED.len())))
    }

    fn program() -> Result<BpfProgram, String> {
        compiled(ALLOWED, denied(), SeccompAction::Allow)
    }

    fn denied() -> SeccompAction {
        SeccompAction::Errno(u32::try_from(libc::EPERM).unwrap_or(1))
    }

    /// A filter that does `listed` on the calls of a list and `otherwise` on all others.
    fn compiled(calls: &[i64], otherwise: SeccompAction, listed: SeccompAction) -> Result<BpfProgram, String> {
        let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| error.to_string())?;
        let rules: BTreeMap<i64, _> = calls.iter().map(|call| (*call, Vec::new())).collect();
        let filter = SeccompFilter::new(rules, otherwise, listed, arch);
        filter.and_then(TryInto::try_into).map_err(|error: seccompiler::BackendError| error.to_string())
    }

    /// Network, other processes, the kernel's own doors.
    const REFUSED: &[i64] = &[
        libc::SYS_socket,
        libc::SYS_socketpair,
        libc::SYS_connect,
        libc::SYS_bind,
        libc::SYS_listen,
        libc::SYS_accept4,
        libc::SYS_sendto,
        libc::SYS_sendmsg,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_kill,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_chroot,
        libc::SYS_pivot_root,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_bpf,
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_perf_event_open,
        libc::SYS_io_uring_setup,
        libc::SYS_userfaultfd,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_kexec_load,
        libc::SYS_reboot,
    ];

    /// What parsing in memory needs: reading and writing open descriptors, memory, locks, time, randomness
    /// for hash tables, and ending (also by abort).
    const ALLOWED: &[i64] = &[
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_readv,
        libc::SYS_writev,
        libc::SYS_close,
        libc::SYS_fstat,
        libc::SYS_lseek,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll,
        libc::SYS_ppoll,
        libc::SYS_mmap,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_mprotect,
        libc::SYS_madvise,
        libc::SYS_brk,
        libc::SYS_futex,
        libc::SYS_set_robust_list,
        libc::SYS_rseq,
        libc::SYS_sched_yield,
        libc::SYS_sched_getaffinity,
        libc::SYS_clock_gettime,
        libc::SYS_clock_nanosleep,
        libc::SYS_nanosleep,
        libc::SYS_getrandom,
        libc::SYS_getpid,
        libc::SYS_gettid,
        libc::SYS_tgkill,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_restart_syscall,
        libc::SYS_prlimit64,
        libc::SYS_getrusage,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];
}

#[cfg(not(target_os = "linux"))]
mod platform {
    //! Elsewhere only the resource limits hold; the report says so.

    use super::Mechanism;

    pub fn no_new_privileges() -> Result<String, String> {
        Err("exists only on Linux".into())
    }

    pub fn landlock() -> Result<String, String> {
        Err("exists only on Linux".into())
    }

    pub fn landlock_to_system() -> Result<String, String> {
        Err("exists only on Linux".into())
    }

    pub fn refuse() -> Mechanism {
        filter(false)
    }

    pub fn filter(_all_threads: bool) -> Mechanism {
        Mechanism::new("seccomp", Err("exists only on Linux".into()))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_confined_thread_opens_nothing_speaks_to_nobody_and_starts_nothing() {
        let confined = std::thread::spawn(|| {
            let layers = [deny_new_privileges(), deny_paths(), platform::filter(false)];
            let filtered = layers[2].active;
            let attempts = [
                std::fs::File::open("/etc/hostname").is_err(),
                std::fs::write("/tmp/fontes-escape", "x").is_err(),
                std::net::UdpSocket::bind("127.0.0.1:0").is_err(),
                std::net::TcpStream::connect("127.0.0.1:9")
                    .is_err_and(|error| error.raw_os_error() == Some(libc::EPERM)),
                std::process::Command::new("/bin/true").status().is_err(),
            ];
            (filtered, attempts)
        });
        let (filtered, attempts) = confined.join().unwrap();
        assert!(!filtered || attempts.iter().all(|failed| *failed), "{attempts:?}");
        assert!(std::fs::File::open("/proc/self/status").is_ok(), "other threads are not confined");
    }
}
