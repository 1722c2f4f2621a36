//! `regen policy …`.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Every role, its budget, and the hash of its policy
    List,
    /// Every rule of a role's policy, with its reason and where it stands
    Show {
        /// Which role
        role: String,
        /// As an OCI runtime configuration
        #[arg(long)]
        oci: bool,
        /// As it is for a browser that was started with `--jitless`
        #[arg(long)]
        jitless: bool,
    },
    /// What two roles differ in; exit code 1 where they do
    Diff {
        /// A role
        first: String,
        /// Another
        second: String,
    },
    /// May a role make a system call? Which rule says so, and why
    Explain {
        /// Which role
        role: String,
        /// A system call's name, a path, an address family such as AF_INET, or a TCP port such as tcp:443
        what: String,
        /// Exit with 1 where it is not allowed
        #[arg(long)]
        check: bool,
    },
    /// Compare every live process with its policy, as the kernel has it; exit code 1 on any drift
    Verify {
        /// Only this process
        pid: Option<i32>,
    },
    /// Try to get out of each role's sandbox, and make every system call; exit code 1 where something got out
    Probe {
        /// Only this role
        role: Option<String>,
        /// Also write a JUnit report to this file
        #[arg(long, value_name = "FILE")]
        junit: Option<PathBuf>,
        /// As a table for a document
        #[arg(long, conflicts_with = "json")]
        markdown: bool,
    },
    /// Run a program of yours in a role's sandbox; its exit code is the program's, or 125 where the sandbox failed, 126 and 127
    /// where the program cannot be run or is not there
    Exec(Exec),
    /// Run a scenario in which nothing is refused of a role, and propose rules for what its policy does not allow
    Learn(Learn),
    /// Rules of a role's policy that no `learn` has seen used
    Coverage {
        /// Only this role
        role: Option<String>,
        /// Forget what was seen
        #[arg(long)]
        reset: bool,
    },
    /// The JSON Schema of policy files
    Schema,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Exec {
    /// Whose sandbox
    pub(crate) role: String,
    /// Put this file or folder into its file view too, read-only (may be given more than once)
    #[arg(long, value_name = "PATH")]
    pub(crate) bind: Vec<PathBuf>,
    /// Its storage, where the role has some; a folder that is removed afterwards unless given
    #[arg(long, value_name = "DIR")]
    pub(crate) bucket: Option<PathBuf>,
    /// As in a browser that was started with `--jitless`
    #[arg(long)]
    pub(crate) jitless: bool,
    /// The program and its arguments. The program is in its file view, read-only; of other files only what the role has
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Learn {
    /// Which role
    pub(crate) role: String,
    /// The scenario is a program that runs in the role's sandbox itself
    #[arg(long)]
    pub(crate) guest: bool,
    /// A command that drives a browser of its own: `REGEN_PROFILE` names it, so `regen tab open …` in it is that browser's
    #[arg(last = true, required = true, value_name = "SCENARIO")]
    pub(crate) command: Vec<String>,
}
