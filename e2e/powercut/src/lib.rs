//! A disk that forgets whatever was not synced, as a library for LD_PRELOAD.
//!
//! Takes the place of `fsync` and `fdatasync`: when a file below `$POWERCUT_DISK` is synced, its content goes to
//! `$POWERCUT_SHADOW`; when a directory is, the names in it do. Nothing else counts: no `sync_file_range`, no
//! `msync`, no rename that its directory's sync does not follow. After the process was killed, `powercut restore`
//! makes the disk that a power cut at that moment would have left.

mod layout;
mod record;

use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::{env, fs, io};

use libc::{c_int, c_long};

/// Syncs are copied one at a time: an older copy must not replace a newer one.
static COPYING: Mutex<()> = Mutex::new(());

/// As `fsync(2)`, on the disk that forgets.
#[unsafe(no_mangle)]
pub extern "C" fn fsync(fd: RawFd) -> c_int {
    sync(libc::SYS_fsync, fd)
}

/// As `fdatasync(2)`, on the disk that forgets.
#[unsafe(no_mangle)]
pub extern "C" fn fdatasync(fd: RawFd) -> c_int {
    sync(libc::SYS_fdatasync, fd)
}

fn sync(call: c_long, fd: RawFd) -> c_int {
    // SAFETY: neither call touches memory; a bad descriptor is answered with EBADF.
    let result = unsafe { libc::syscall(call, fd) };
    if result == 0 {
        copy(fd);
    }
    // 0 or -1.
    result as c_int
}

fn copy(fd: RawFd) {
    let (Some(disk), Some(shadow)) = (env::var_os("POWERCUT_DISK"), env::var_os("POWERCUT_SHADOW"))
    else {
        return;
    };
    let _copying = COPYING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Err(error) = copy_if_on(disk.as_ref(), fd, shadow.as_ref()) {
        // What is copied from here on proves nothing.
        eprintln!("powercut: {error}");
        std::process::abort();
    }
}

fn copy_if_on(disk: &Path, fd: RawFd, shadow: &Path) -> io::Result<()> {
    let handle = PathBuf::from(format!("/proc/self/fd/{fd}"));
    if fs::read_link(&handle)?.starts_with(disk) {
        record::synced(&handle, shadow)?;
    }
    Ok(())
}
