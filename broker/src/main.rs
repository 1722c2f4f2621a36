//! `regen-broker`: the kernel. People start it through `regen`.

use std::process::ExitCode;

use clap::Parser;
use regen_broker::launcher::SANDBOXED;
use regen_broker::startup;
use regen_broker::startup::options::BrowserOptions;

#[derive(Debug, Parser)]
#[command(name = "regen-broker", version, about = "The kernel of Regen; start it with `regen`")]
struct Arguments {
    #[command(flatten)]
    browser: BrowserOptions,
    /// Write the log to stderr as well
    #[arg(long)]
    echo_log: bool,
}

fn main() -> ExitCode {
    let Arguments { browser, echo_log } = Arguments::parse();
    match startup::start(browser, echo_log, SANDBOXED) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "a start that fails has no log")]
            {
                eprintln!("Error: {error}");
            }
            ExitCode::FAILURE
        }
    }
}
