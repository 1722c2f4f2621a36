//! Arguments of `regen shields`, `route`, `tor`, `vpn` and `dns`.

use std::path::PathBuf;

use clap::Subcommand;
use clap::builder::NonEmptyStringValueParser;

use super::on_or_off;

#[derive(Debug, Subcommand)]
pub(crate) enum ShieldsCommand {
    /// Show the level and how many requests were blocked
    Status,
    /// Show or choose how much shields block
    Level {
        /// `strict`, `balanced`, `off` or `default`; if omitted, show the current level. Takes effect when a page is
        /// reloaded
        level: Option<String>,
        /// Change the level of this site only (any URL of the site)
        #[arg(long, conflicts_with = "workspace", value_parser = NonEmptyStringValueParser::new())]
        site: Option<String>,
        /// Change the level of this workspace only
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        workspace: Option<String>,
    },
    /// List the filter lists in use, or add, remove and update lists of your own
    Lists(ListsArguments),
    /// List the user rules, or add and remove some
    Rules {
        /// Add a rule in filter list syntax, such as “||example.com^” or “example.org##.banner” (may be given more than
        /// once)
        #[arg(long, value_name = "RULE")]
        add: Vec<String>,
        /// Remove a rule (may be given more than once)
        #[arg(long, value_name = "RULE")]
        remove: Vec<String>,
    },
    /// Hide the elements that match a CSS selector, by adding a user rule for the host of a tab
    BlockElement {
        /// CSS selector, such as “#banner” or “div.advert”
        selector: String,
        /// Tab ID [default: the active tab]
        #[arg(long)]
        tab: Option<u64>,
    },
    /// List recently blocked requests, each with the rule and the list that blocked it
    Log {
        /// Keep printing as requests are blocked
        #[arg(long, short)]
        follow: bool,
    },
    /// Test whether a request would be blocked; exit code 1 if so
    Test(TestArguments),
}

#[derive(Debug, Subcommand)]
pub(crate) enum RouteCommand {
    /// Show the default route, and the routes of workspaces and sites
    Show,
    /// Choose a route; closes the open connections of the old one
    Set {
        /// Hops in the order in which to try them, such as “direct”, “vpn:home → tor → block” or “block”; `default`
        /// removes the route of a site or workspace
        route: String,
        /// Change the route of this site only (any URL of the site), including what its pages embed
        #[arg(long, conflicts_with = "workspace", value_parser = NonEmptyStringValueParser::new())]
        site: Option<String>,
        /// Change the route of this workspace only
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        workspace: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TorCommand {
    /// Show whether Tor is running and connected; exit code 1 if it fails
    Status,
    /// Use new circuits for all sites; closes open connections
    NewIdentity,
}

#[derive(Debug, Subcommand)]
pub(crate) enum VpnCommand {
    /// Import a VPN profile without connecting it
    Import {
        /// Profile file in `wg-quick` format
        #[arg(value_hint = clap::ValueHint::FilePath)]
        file: PathBuf,
        /// Name of the profile [default: the file name without its extension]
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        name: Option<String>,
        /// Replace an existing profile of this name
        #[arg(long)]
        replace: bool,
    },
    /// List the profiles and their state; exit code 1 if one is failing or still connecting
    #[command(visible_alias = "status")]
    List,
    /// Connect a VPN, now and at each start; exit code 1 if it does not connect. `regen route set vpn:NAME` routes
    /// pages through it
    Up {
        /// Name of the profile
        name: String,
        /// Agree without being asked, if this VPN has never been connected
        #[arg(long)]
        allow: bool,
    },
    /// Disconnect a VPN; traffic without another route is blocked
    Down {
        /// Name of the profile
        name: String,
    },
    /// Delete a profile and its keys
    Remove {
        /// Name of the profile
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DnsCommand {
    /// Show the name servers and whether DNSSEC is required
    Show,
    /// Choose the name servers for direct routes; Tor, VPNs and proxies use their own
    Set {
        /// `system`, `block`, or servers separated by commas, such as tls://9.9.9.9#dns.quad9.net,
        /// https://dns.quad9.net/dns-query or udp://192.168.1.1
        #[arg(required_unless_present = "dnssec", value_parser = NonEmptyStringValueParser::new())]
        servers: Option<String>,
        /// Reject answers that fail DNSSEC validation
        #[arg(long, value_name = "ON|OFF", value_parser = on_or_off)]
        dnssec: Option<bool>,
    },
    /// Look up a name as pages would; exit code 1 if there is no answer
    Query {
        /// Name to look up
        name: String,
        /// Record type, such as A, AAAA, TXT or MX
        #[arg(long = "type", default_value = "A", value_name = "TYPE")]
        kind: String,
        /// Look up the name as pages of this site would (any URL of the site)
        #[arg(long, value_name = "URL", default_value = "")]
        site: String,
        /// Workspace of those pages
        #[arg(long, default_value = "")]
        workspace: String,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct TestArguments {
    /// URL of the request
    #[arg(required_unless_present = "requests", requires = "page")]
    pub(crate) url: Option<String>,
    /// URL of the page that sends the request
    #[arg(long, value_name = "URL")]
    pub(crate) page: Option<String>,
    /// Type of the request
    #[arg(long = "type", default_value = "other", value_name = "TYPE", value_parser = clap::builder::PossibleValuesParser::new(regen_proto::KINDS))]
    pub(crate) kind: String,
    /// Test many requests: a file with one JSON object per line, such as {"url": …, "page": …, "type": "script"},
    /// or - for standard input; prints one verdict per line, with exit code 0
    #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "page", "kind"])]
    pub(crate) requests: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(group(clap::ArgGroup::new("change").multiple(false)))]
pub(crate) struct ListsArguments {
    /// Add a list from a file, or from an HTTPS URL that is fetched again as often as the list asks
    #[arg(long, value_name = "FILE|URL", group = "change")]
    pub(crate) add: Option<String>,
    /// Name of the list [default: the file name without its extension]
    #[arg(long, requires = "add")]
    pub(crate) name: Option<String>,
    /// Accept the list only if it has this SHA-256 hash
    #[arg(long, value_name = "HEX", requires = "add")]
    pub(crate) sha256: Option<String>,
    /// Remove a list that you added
    #[arg(long, value_name = "NAME", group = "change")]
    pub(crate) remove: Option<String>,
    /// Check for newer versions of the lists that you added
    #[arg(long, group = "change")]
    pub(crate) update: bool,
}
