//! Arguments of `regen policy`.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// List all roles with their system call budget and policy hash
    List,
    /// Show every rule of a role's policy, with its reason and its place in the policy files
    Show {
        /// Role to show
        role: String,
        /// Print the policy as an OCI runtime configuration
        #[arg(long)]
        oci: bool,
        /// Show the policy of a browser started with `--jitless`
        #[arg(long)]
        jitless: bool,
    },
    /// Compare the policies of two roles; exit code 1 if they differ
    Diff {
        /// First role
        first: String,
        /// Second role
        second: String,
    },
    /// Explain whether a role may make a system call, open a path or use the network, and by which rule
    Explain {
        /// Role to explain
        role: String,
        /// Name of a system call, absolute path, address family such as AF_INET, or TCP port such as tcp:443
        what: String,
        /// Exit with code 1 if it is not allowed
        #[arg(long)]
        check: bool,
    },
    /// Compare the kernel's view of every running process with its policy; exit code 1 on any drift
    Verify {
        /// Verify only the process with this ID
        pid: Option<i32>,
    },
    /// Try to escape from each role's sandbox, and make every system call; exit code 1 if anything escapes
    Probe {
        /// Probe only this role
        role: Option<String>,
        /// Also write a JUnit report to this file
        #[arg(long, value_name = "FILE")]
        junit: Option<PathBuf>,
        /// Print the results as a Markdown table
        #[arg(long, conflicts_with = "json")]
        markdown: bool,
    },
    /// Run a program in a role's sandbox; exits with the program's exit code, or 125 if the sandbox fails, 126 if the
    /// program cannot be run, 127 if it does not exist
    Exec(Exec),
    /// Run a scenario while allowing system calls that a role's policy does not mention, and propose rules for them
    Learn(Learn),
    /// List the rules of a role's policy that no `learn` run has used
    Coverage {
        /// List the rules of this role only
        role: Option<String>,
        /// Delete the records of earlier `learn` runs first
        #[arg(long)]
        reset: bool,
    },
    /// Print the JSON Schema of policy files
    Schema,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Exec {
    /// Role whose sandbox to use
    pub(crate) role: String,
    /// Mount this file or folder read-only in the sandbox (may be given more than once)
    #[arg(long, value_name = "PATH")]
    pub(crate) bind: Vec<PathBuf>,
    /// Folder to use as the site storage, if the role has one [default: a temporary folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) bucket: Option<PathBuf>,
    /// Use the policy of a browser started with `--jitless`
    #[arg(long)]
    pub(crate) jitless: bool,
    /// Program and its arguments; it sees itself, read-only, and otherwise only the files that the role sees
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Learn {
    /// Role to learn about
    pub(crate) role: String,
    /// Run the scenario itself in the role's sandbox, instead of starting a browser
    #[arg(long)]
    pub(crate) guest: bool,
    /// Command that controls a temporary browser, for example with `regen tab open`; `REGEN_PROFILE` names its profile
    #[arg(last = true, required = true, value_name = "SCENARIO")]
    pub(crate) command: Vec<String>,
}
