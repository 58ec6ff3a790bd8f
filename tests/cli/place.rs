//! Runs the program as a user does.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// How a run of the program ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; none after a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("all output is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("all output is UTF-8"),
        }
    }
}

/// A directory of its own to run the program in.
pub struct Place {
    directory: TempDir,
}

impl Place {
    /// An empty directory.
    pub fn new() -> Self {
        Self { directory: TempDir::new().expect("there is room for a directory") }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file in the directory.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, contents).expect("there is room for a file");
        path
    }

    /// The text of a file in the directory.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The names in the directory, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path()).expect("the directory is there");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("it can be read").file_name().to_string_lossy().into_owned()).collect();
        names.sort_unstable();
        names
    }

    /// The program with these arguments, not started yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fragsim"));
        command.args(arguments).current_dir(self.path());
        command.env_remove("COLUMNS").env_remove("NO_COLOR").stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(self.command(arguments).output().expect("the program starts"))
    }

    /// Runs the program to its end as somebody who may not do everything: for root as another user, else as it is.
    #[cfg(unix)]
    pub fn run_unprivileged(&self, arguments: &[&str]) -> Ended {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        use std::os::unix::process::CommandExt;
        /// Nobody's number on every system.
        const NOBODY: u32 = 65_534;
        let owner = std::fs::metadata(self.path()).expect("the directory is there").uid();
        if owner != 0 {
            return self.run(arguments);
        }
        // The other user must reach the directory and a program, and the built one may lie below /root.
        let everyone = || std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(self.path(), everyone()).expect("the directory is ours");
        let tools = TempDir::new().expect("there is room for a directory");
        std::fs::set_permissions(tools.path(), everyone()).expect("the directory is ours");
        let program = tools.path().join("fragsim");
        std::fs::copy(env!("CARGO_BIN_EXE_fragsim"), &program).expect("there is room for the program");
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null()).uid(NOBODY).gid(NOBODY);
        Ended::of(command.output().expect("the program starts"))
    }

    /// Runs the program to its end with this standard input.
    pub fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Ended {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut stdin = child.stdin.take().expect("standard input is a pipe");
        // The program may refuse its input before it has read all of it.
        drop(stdin.write_all(input));
        drop(stdin);
        Ended::of(child.wait_with_output().expect("the program ends"))
    }
}
