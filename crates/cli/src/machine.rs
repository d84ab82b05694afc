//! What this machine has to give.

use std::fs;

/// Bytes of memory that this process may still take, where the system tells: what Linux calls available, or what the
/// process's control group leaves, whichever is less.
pub fn available_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemAvailable:"))?;
    let machine = line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024;
    Some(group_memory("/sys/fs/cgroup").map_or(machine, |group| group.min(machine)))
}

/// What the control group mounted at `root` (cgroup v2) leaves; nothing where it sets no limit.
fn group_memory(root: &str) -> Option<u64> {
    let number = |name: &str| fs::read_to_string(format!("{root}/{name}")).ok()?.trim().parse::<u64>().ok();
    let limit = number("memory.max")?;
    // Pages of files are counted, too, and given back when they are needed.
    let files = fs::read_to_string(format!("{root}/memory.stat")).unwrap_or_default();
    let pages =
        |line: &str| line.strip_prefix("inactive_file ").or(line.strip_prefix("active_file "))?.parse::<u64>().ok();
    let used = number("memory.current")?.saturating_sub(files.lines().filter_map(pages).sum());
    Some(limit.saturating_sub(used))
}

/// The NVIDIA GPUs that the driver names (Linux).
pub fn gpus() -> Vec<String> {
    gpus_under("/proc/driver/nvidia/gpus")
}

fn gpus_under(root: &str) -> Vec<String> {
    let folders = fs::read_dir(root).into_iter().flatten().flatten();
    let model = |folder: fs::DirEntry| {
        let text = fs::read_to_string(folder.path().join("information")).ok()?;
        text.lines().find_map(|line| Some(line.strip_prefix("Model:")?.trim().to_owned()))
    };
    folders.filter_map(model).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_are_named_as_the_driver_names_them() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_str().unwrap();
        assert!(gpus_under(&format!("{root}/nothing")).is_empty());
        fs::create_dir(folder.path().join("0000:01:00.0")).unwrap();
        let text = "Model: \t\t NVIDIA H200\nIRQ:   \t\t 42\n";
        fs::write(folder.path().join("0000:01:00.0/information"), text).unwrap();
        assert_eq!(gpus_under(root), ["NVIDIA H200"]);
    }

    #[test]
    fn a_group_leaves_what_it_has_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_str().unwrap();
        assert_eq!(group_memory(root), None);
        fs::write(folder.path().join("memory.max"), "max\n").unwrap();
        assert_eq!(group_memory(root), None, "no limit");
        fs::write(folder.path().join("memory.max"), "1000\n").unwrap();
        fs::write(folder.path().join("memory.current"), "700\n").unwrap();
        assert_eq!(group_memory(root), Some(300));
        fs::write(folder.path().join("memory.stat"), "anon 1\ninactive_file 200\nactive_file 50\nfile 999\n").unwrap();
        assert_eq!(group_memory(root), Some(550));
    }
}
