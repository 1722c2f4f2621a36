//! What goes out, and how: shields, routes, and what they are made of.

use std::path::PathBuf;

use clap::Subcommand;
use clap::builder::NonEmptyStringValueParser;

use super::on_or_off;

#[derive(Debug, Subcommand)]
pub(crate) enum ShieldsCommand {
    /// The level, and how much was blocked
    Status,
    /// Show or choose how much is blocked: strict, balanced, off; or default
    Level {
        /// From now on; pages that are open take it when they are loaded again
        level: Option<String>,
        /// Only on this site (any of its addresses)
        #[arg(long)]
        site: Option<String>,
    },
    /// The filter lists that are in use; or add and remove ones of your own
    Lists(ListsArguments),
    /// Your own rules, in the filter lists' language; or change them
    Rules {
        /// One more, such as “||example.com^” or “example.org##.banner” (may be given more than once)
        #[arg(long, value_name = "RULE")]
        add: Vec<String>,
        /// One less
        #[arg(long, value_name = "RULE")]
        remove: Vec<String>,
    },
    /// Hide what a selector of CSS names, on the site of a tab from now on
    BlockElement {
        /// Such as “#banner” or “div.advert”
        selector: String,
        /// The active one unless told
        #[arg(long)]
        tab: Option<u64>,
    },
    /// What was blocked lately, by which rule of which list
    Log {
        /// Go on printing as more is blocked
        #[arg(long, short)]
        follow: bool,
    },
    /// Would a page be kept from this? Exit code 1 where it would
    Test(TestArguments),
}

#[derive(Debug, Subcommand)]
pub(crate) enum RouteCommand {
    /// The routes that you have chosen
    Show,
    /// Choose one; open connections of the old one end
    Set {
        /// Its ways in the order in which they are tried: direct, tor, “tor → block”, block; or default
        route: String,
        /// Only for pages of this site (any of its addresses), and what they embed
        #[arg(long, conflicts_with = "workspace", value_parser = NonEmptyStringValueParser::new())]
        site: Option<String>,
        /// Only for this workspace
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        workspace: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TorCommand {
    /// Whether it runs, and whether it gets through
    Status,
    /// Share no circuit with what was before, for any site; open connections end
    NewIdentity,
}

#[derive(Debug, Subcommand)]
pub(crate) enum VpnCommand {
    /// Take a profile from a file as `wg-quick` reads it; nothing takes it yet
    Import {
        /// The file
        #[arg(value_hint = clap::ValueHint::FilePath)]
        file: PathBuf,
        /// Its name; otherwise the file's
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        name: Option<String>,
        /// Instead of the profile that has this name
        #[arg(long)]
        replace: bool,
    },
    /// The profiles, and whether each is up
    #[command(visible_alias = "status")]
    List,
    /// Bring one up, now and after each start; then `regen route set vpn:NAME` sends pages through it
    Up {
        /// Its name
        name: String,
        /// Agree to that, where it has never been up
        #[arg(long)]
        allow: bool,
    },
    /// Take one down: what has no other way then stays here
    Down {
        /// Its name
        name: String,
    },
    /// Forget one, its keys included
    Remove {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DnsCommand {
    /// Which name servers are asked
    Show,
    /// Choose them. What takes Tor, a VPN or a proxy does not ask them
    Set {
        /// system, or servers with commas between them: tls://9.9.9.9#dns.quad9.net, https://dns.quad9.net/dns-query, udp://192.168.1.1;
        /// or block
        #[arg(required_unless_present = "dnssec", value_parser = NonEmptyStringValueParser::new())]
        servers: Option<String>,
        /// on: an answer that is not signed as its zone says is none
        #[arg(long, value_name = "ON|OFF", value_parser = on_or_off)]
        dnssec: Option<bool>,
    },
    /// Ask for a name as pages would; exit code 1 where there is no answer
    Query {
        /// Which name
        name: String,
        /// A, AAAA, TXT, MX …
        #[arg(long = "type", default_value = "A", value_name = "TYPE")]
        kind: String,
        /// As pages of this site would (any of its addresses)
        #[arg(long, value_name = "URL", default_value = "")]
        site: String,
        /// In this workspace
        #[arg(long, default_value = "")]
        workspace: String,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct TestArguments {
    /// What it wants
    #[arg(required_unless_present = "requests", requires = "page")]
    pub(crate) url: Option<String>,
    /// The address of the page
    #[arg(long, value_name = "URL")]
    pub(crate) page: Option<String>,
    /// For what
    #[arg(long = "type", default_value = "other", value_name = "TYPE", value_parser = clap::builder::PossibleValuesParser::new(regen_proto::KINDS))]
    pub(crate) kind: String,
    /// Many at once: a file with a line of JSON for each, such as {"url": …, "page": …, "type": "script"}; - is standard input.
    /// Prints a line for each, and the exit code is 0
    #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "page", "kind"])]
    pub(crate) requests: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(group(clap::ArgGroup::new("change").multiple(false)))]
pub(crate) struct ListsArguments {
    /// Add a list: a file, or an https address where it is looked for again as often as it says
    #[arg(long, value_name = "FILE|URL", group = "change")]
    pub(crate) add: Option<String>,
    /// What it is called from now on; otherwise, as its file is
    #[arg(long, requires = "add")]
    pub(crate) name: Option<String>,
    /// Take no other text than the one with this hash
    #[arg(long, value_name = "HEX", requires = "add")]
    pub(crate) sha256: Option<String>,
    /// Forget a list of yours
    #[arg(long, value_name = "NAME", group = "change")]
    pub(crate) remove: Option<String>,
    /// Look for newer versions of yours now
    #[arg(long, group = "change")]
    pub(crate) update: bool,
}
