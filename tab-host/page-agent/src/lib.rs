//! The page-agent: the part of Regen inside the web process. It sees every request with its page before it is sent, and
//! so knows what the embedder is not told: whether the main frame is about to leave for another site. It stops such a
//! request before a byte is sent, and hands it to the tab-host, which hands it to the broker. For any other request it
//! asks for a verdict of shields.
//!
//! The library runs beside hostile content and is not trusted: if it is subverted, the broker kills the host that commits a
//! foreign page.

mod shields;
mod sys;

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{c_char, c_void};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use regen_net_config::site::Site;
use regen_proto::DOCUMENT;
use regen_proto::net::v1::{CheckRequest, DocumentRequest, Verdict};
use shields::{Shields, UNANSWERED};
use sys::{
    Document, GVariant, Page, Request, WebKitFrame, WebKitScriptWorld, WebKitURIRequest, WebKitURIResponse,
    WebKitUserMessage, WebKitWebExtension, WebKitWebPage, World,
};

/// Name of the tab-host's script world.
const WORLD: &str = "regen";

/// A navigation that was handed over to this page, with the headers that its initiator may send.
#[derive(Debug, Clone)]
struct Handover {
    url: String,
    initiator: String,
    referrer: String,
    method: String,
    redirected: bool,
}

/// A load of the main frame: its first URL, and its URL after redirects.
#[derive(Debug)]
struct MainLoad {
    first: String,
    now: String,
}

#[derive(Debug, Default)]
struct Agent {
    site: Option<Site>,
    handovers: HashMap<u64, Handover>,
    /// URL with credentials that the user opens, by page.
    credentials: HashMap<u64, String>,
    /// URL of a form's response that a page goes back to, by page. The form must not be sent again for it.
    unless_cached: HashMap<u64, String>,
    /// Load of the main frame, by page.
    main: HashMap<u64, MainLoad>,
    /// Popups with an opener, which live in its host whatever they show.
    popups: Vec<u64>,
    /// Hidden pages that fetch the rest of a file, with its validator. The file may be on any site.
    rests: HashMap<u64, String>,
    shields: Shields,
    /// Scripts that stand in for blocked ones, by the URL of the blocked one.
    stand_ins: HashMap<String, String>,
    world: Option<World>,
}

thread_local! {
    // The engine calls the page-agent on its main thread only.
    static AGENT: RefCell<Agent> = RefCell::default();
}

/// Maximum stand-ins that are remembered.
const MAX_STAND_INS: usize = 1000;

/// Script that exposes Global Privacy Control to the page.
const SIGNAL: &str = "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl',
    { get: () => true, enumerable: true, configurable: true });";

/// Starts the page-agent. The engine calls this once, with the site that the tab-host passed.
///
/// # Safety
/// Only the engine calls this, with a live extension and the tab-host's tuple of one string.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "the engine's entry point is a C function")]
pub unsafe extern "C" fn webkit_web_extension_initialize_with_user_data(extension: *mut c_void, data: *mut c_void) {
    // SAFETY: the tab-host passes a tuple of one string.
    let words = unsafe { sys::words(data.cast::<GVariant>()) };
    AGENT.with_borrow_mut(|agent| agent.site = words.first().and_then(|site| Site::parse(site).ok()));
    AGENT.with_borrow_mut(|agent| agent.world = Some(World::named(WORLD)));
    sys::on_document(document_begins);
    sys::on_page_created(extension.cast::<WebKitWebExtension>(), page_created);
}

#[expect(unsafe_code, reason = "the engine calls it")]
unsafe extern "C" fn page_created(_extension: *mut WebKitWebExtension, page: *mut WebKitWebPage, _data: *mut c_void) {
    sys::on_page(page, &sys::Handlers { send_request, message });
}

/// Returns true to stop the request.
#[expect(unsafe_code, reason = "the engine calls it")]
unsafe extern "C" fn send_request(
    page: *mut WebKitWebPage,
    request: *mut WebKitURIRequest,
    redirected_from: *mut WebKitURIResponse,
    _data: *mut c_void,
) -> sys::gboolean {
    let redirected_from = sys::response_uri(redirected_from);
    let stop = decide(Page::new(page), Request::new(request), redirected_from.as_deref());
    sys::gboolean::from(stop)
}

/// Applies the rules of shields to a document that begins. Runs scriptlets at once, and leaves the rest to the
/// tab-host's script, which runs next.
#[expect(unsafe_code, reason = "the engine calls it")]
unsafe extern "C" fn document_begins(
    _world: *mut WebKitScriptWorld,
    page: *mut WebKitWebPage,
    frame: *mut WebKitFrame,
    _data: *mut c_void,
) {
    let (page, document) = (Page::new(page), Document::new(frame));
    let (url, is_main_frame) = (document.uri(), document.is_main_frame());
    let page_url = if is_main_frame { url.clone() } else { page.uri() };
    let request = DocumentRequest { url, is_main_frame, page: page_url };
    let world = AGENT.with_borrow(|agent| agent.world);
    // A popup shares the message handler of its opener's scripts, so its reports must name its page.
    document.run(&format!("globalThis.pageId = {};", page.id()), world);
    if !request.url.starts_with("http:") && !request.url.starts_with("https:") {
        return;
    }
    let rules = AGENT.with_borrow_mut(|agent| agent.shields.begin(page.id(), request));
    if let Some(world) = world {
        document.give("runStandIn", run_stand_in, world);
    }
    let for_script = serde_json::json!({
        "hide": rules.hide, "procedural": rules.procedural, "generic": rules.generic, "exceptions": rules.exceptions,
        "policy": rules.policy, "common": rules.common, "filter": rules.filter,
    });
    document.run(&format!("globalThis.shields = {for_script};"), world);
    if rules.is_private {
        document.run(SIGNAL, None);
    }
    if !rules.script.is_empty() {
        document.run(&rules.script, None);
    }
}

/// Runs the stand-in for a blocked script. The engine refuses it as the script's response if the page uses an integrity
/// hash or CORS.
#[expect(unsafe_code, reason = "the engine calls it")]
unsafe extern "C" fn run_stand_in(url: *const c_char, frame: *mut c_void) -> sys::gboolean {
    // SAFETY: the engine passes the arguments of the function that `Document::give` made.
    let (url, document) = unsafe { sys::given(url, frame) };
    let script = AGENT.with_borrow(|agent| agent.stand_ins.get(&without_fragment(&url)).cloned());
    let Some(script) = script else { return 0 };
    document.run(&script, None);
    1
}

#[expect(unsafe_code, reason = "the engine calls it")]
unsafe extern "C" fn message(
    page: *mut WebKitWebPage,
    message: *mut WebKitUserMessage,
    _data: *mut c_void,
) -> sys::gboolean {
    let page = Page::new(page).id();
    let (name, words) = sys::read_message(message);
    AGENT.with_borrow_mut(|agent| match (name.as_str(), words.as_slice()) {
        ("handover", [url, initiator, referrer, method, redirected]) => {
            let handover = Handover {
                url: without_fragment(url),
                initiator: initiator.clone(),
                referrer: referrer.clone(),
                method: method.clone(),
                redirected: redirected == "redirected",
            };
            agent.handovers.insert(page, handover);
        }
        ("credentials", [url]) => drop(agent.credentials.insert(page, url.clone())),
        ("unless-cached", [url]) => drop(agent.unless_cached.insert(page, without_fragment(url))),
        ("rest", [validator]) => drop(agent.rests.insert(page, validator.clone())),
        ("popup", _) => agent.popups.push(page),
        _ => {}
    });
    1
}

/// `Accept` header that the engine sends for documents, and for nothing else.
const ACCEPT_OF_DOCUMENTS: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

fn decide(page: Page, request: Request, redirected_from: Option<&str>) -> bool {
    let url = request.uri();
    if !url.starts_with("http:") && !url.starts_with("https:") {
        return false;
    }
    let id = page.id();
    // The page's URL is that of the main frame's load as soon as the load begins. On a redirect it is still the former
    // one, so a redirect belongs to the main frame if the former URL did.
    let is_of_main = match redirected_from {
        None => without_fragment(&page.uri()) == without_fragment(&url),
        Some(former) => {
            AGENT.with_borrow(|agent| agent.main.get(&id).is_some_and(|main| main.now == without_fragment(former)))
        }
    };
    // A script of the page may also request the page's own URL, but not as a document.
    if !is_of_main || request.header("Accept") != ACCEPT_OF_DOCUMENTS {
        return is_blocked(page, request, url);
    }
    // `has_opener` runs a script, for which the engine may call `document_begins`: AGENT must not be borrowed.
    let is_new_popup = AGENT.with_borrow(|agent| agent.popups.contains(&id) && !agent.main.contains_key(&id));
    let has_opener = !is_new_popup || page.has_opener();
    let (leaves, world) =
        AGENT.with_borrow(|agent| (agent.site.as_ref().is_some_and(|site| !site.may_show(&url)), agent.world));
    if leaves {
        // The engine is about to replace the page by an empty document: the page reports its state now.
        page.main_document().run("globalThis.reportNow?.()", world);
    }
    AGENT.with_borrow_mut(|agent| {
        agent.shields.forget();
        let is_again = agent.unless_cached.remove(&id).is_some_and(|again| again == without_fragment(&url));
        if is_again && request.method() == "POST" {
            page.send("again", &[&url]);
            return true;
        }
        let now = without_fragment(&without_credentials(&url));
        let former = agent.main.remove(&id);
        let first = former.filter(|_| redirected_from.is_some()).map_or_else(|| now.clone(), |main| main.first);
        agent.main.insert(id, MainLoad { first: first.clone(), now });
        let handover = agent.handovers.remove(&id).filter(|handover| handover.url == without_fragment(&url));
        if let Some(handover) = handover {
            speak_for_initiator(request, &handover);
        }
        let credentials = agent.credentials.remove(&id);
        if let Some(with) =
            credentials.filter(|with| without_fragment(&without_credentials(with)) == without_fragment(&url))
        {
            authorize(request, &with);
        }
        if let Some(validator) = agent.rests.get(&id) {
            if !validator.is_empty() {
                // The engine removes this header from requests for documents.
                request.set_header("If-Range", validator);
            }
            return agent.is_document_blocked(page, request, &url);
        }
        let popup = agent.popups.iter().position(|popup| *popup == id);
        match popup {
            // A popup without an opener is a tab like any other.
            Some(popup) if !has_opener => {
                agent.popups.swap_remove(popup);
            }
            Some(_) => return agent.is_document_blocked(page, request, &url),
            None if agent.site.as_ref().is_some_and(|site| site.may_show(&url)) => {
                return agent.is_document_blocked(page, request, &url);
            }
            None => {}
        }
        page.send("handover", &[&url, &request.method(), &request.header("Referer"), &first]);
        true
    })
}

impl Agent {
    /// Returns whether shields block the main frame. Tells the tab-host why, or may remove tracking parameters.
    fn is_document_blocked(&mut self, page: Page, request: Request, url: &str) -> bool {
        let kind = DOCUMENT.to_owned();
        let (url_asked, page_asked, method) = (url.to_owned(), url.to_owned(), request.method());
        let asked = CheckRequest { url: url_asked, page: page_asked, kind, method, ..CheckRequest::default() };
        let verdict = self.shields.check(page.id(), asked);
        if verdict.blocked {
            let why = if verdict.rule == UNANSWERED { "unanswered" } else { "blocked" };
            page.send(why, &[url, &request.method()]);
        } else {
            if !verdict.rewritten_url.is_empty() {
                request.set_uri(&with_query_of(&verdict.rewritten_url, url));
            }
            move_credentials_to_header(request);
            if let Some(main) = self.main.get_mut(&page.id()) {
                // Keep the engine's spelling, with which a redirect will be compared.
                main.now = without_fragment(&request.uri());
            }
        }
        keep_private(request, &verdict);
        verdict.blocked
    }
}

/// Moves the user name and password of a main frame's URL to a basic authentication header. In the URL they would be
/// shown and saved, and could pass for a host name.
fn move_credentials_to_header(request: Request) {
    let address = request.uri();
    if authorize(request, &address) {
        request.set_uri(&without_credentials(&address));
    }
}

/// Sends the credentials of a URL with a request. Returns whether the URL has any.
fn authorize(request: Request, address: &str) -> bool {
    let authorization = url::Url::parse(address).ok().and_then(|url| basic_authorization(&url));
    if let Some(authorization) = &authorization {
        request.set_header("Authorization", authorization);
    }
    authorization.is_some()
}

fn without_credentials(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut parsed) if basic_authorization(&parsed).is_some() => {
            // Neither call fails for a URL that has credentials.
            let _ = (parsed.set_username(""), parsed.set_password(None));
            parsed.into()
        }
        _ => url.to_owned(),
    }
}

/// Returns the header for the credentials in a URL (RFC 7617), if it has any.
fn basic_authorization(url: &url::Url) -> Option<String> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let pair = format!("{}:{}", decode(url.username()), decode(url.password().unwrap_or_default()));
    Some(format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(pair)))
}

/// Sends Global Privacy Control, and reduces the referrer that another site gets to its origin.
fn keep_private(request: Request, verdict: &Verdict) {
    if !verdict.is_private {
        return;
    }
    request.set_header("Sec-GPC", "1");
    let referrer = request.header("Referer");
    let is_other = |from: Site, to: Site| from.host() != to.host();
    if let (Ok(from), Ok(to)) = (Site::of(&referrer), Site::of(&request.uri()))
        && is_other(from, to)
    {
        request.set_header("Referer", origin_of(&referrer));
    }
}

/// Returns the origin of a URL with a slash; empty if no slash follows the host.
fn origin_of(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let path = url.get(host..).and_then(|rest| rest.find(['/', '?', '#']));
    path.and_then(|at| url.get(..=host + at)).filter(|origin| origin.ends_with('/')).unwrap_or_default()
}

/// Returns the script in a data URL, if there is one.
fn script_of(stand_in: &str) -> Option<String> {
    let data = stand_in.strip_prefix("data:application/javascript;base64,")?;
    String::from_utf8(BASE64_STANDARD.decode(data).ok()?).ok()
}

/// Returns whether shields block a part of a page. May also change its URL: to a stand-in, to HTTPS, or to one without
/// tracking parameters.
fn is_blocked(page: Page, request: Request, url: String) -> bool {
    let kind = shields::kind(&request.header("Sec-Fetch-Dest"), &request.header("Accept"), &url).to_owned();
    let (page_url, method) = (page.uri(), request.method());
    let former = without_fragment(&url);
    let asked = CheckRequest { url, page: page_url, kind, method, ..CheckRequest::default() };
    let verdict = AGENT.with_borrow_mut(|agent| agent.shields.check(page.id(), asked));
    if let Some(script) = script_of(&verdict.stand_in) {
        AGENT.with_borrow_mut(|agent| {
            if agent.stand_ins.len() < MAX_STAND_INS {
                agent.stand_ins.insert(former, script);
            }
        });
    }
    keep_private(request, &verdict);
    if verdict.encrypt
        && let Some(rest) = request.uri().strip_prefix("http:")
    {
        request.set_uri(&format!("https:{rest}"));
    }
    match (verdict.rewritten_url.as_str(), verdict.stand_in.as_str()) {
        ("", "") => verdict.blocked,
        ("", stand_in) => {
            request.set_uri(stand_in);
            false
        }
        (rewritten, _) => {
            request.set_uri(&with_query_of(rewritten, &request.uri()));
            false
        }
    }
}

/// Sets the initiator's headers on a request of the bootstrap document, whose own origin is opaque.
fn speak_for_initiator(request: Request, handover: &Handover) {
    request.set_header("Referer", &handover.referrer);
    if handover.method == "POST" {
        request.set_header("Origin", if handover.redirected { "null" } else { &handover.initiator });
    }
}

/// Returns `url` with the query of `rewritten`. User information and fragment were not sent for a verdict, and stay.
fn with_query_of(rewritten: &str, url: &str) -> String {
    let (rest, fragment) = url.split_at(url.find('#').unwrap_or(url.len()));
    let start = rest.split('?').next().unwrap_or_default();
    let query = rewritten.split('#').next().unwrap_or_default();
    let query = query.find('?').and_then(|at| query.get(at..)).unwrap_or_default();
    format!("{start}{query}{fragment}")
}

fn without_fragment(url: &str) -> String {
    url.split('#').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{basic_authorization, origin_of, with_query_of};

    #[test]
    fn credentials_of_an_address_become_a_header() {
        let header = |url: &str| basic_authorization(&url.parse().unwrap());
        assert_eq!(header("https://a.test/@x"), None);
        assert_eq!(header("https://u%40x:p%3Aq@a.test/").as_deref(), Some("Basic dUB4OnA6cQ=="));
        assert_eq!(header("https://u@a.test/").as_deref(), Some("Basic dTo="));
    }

    #[test]
    fn an_origin_is_all_before_the_path() {
        assert_eq!(origin_of("https://a.test:81/x/y?z"), "https://a.test:81/");
        assert_eq!(origin_of("https://a.test/"), "https://a.test/");
        assert_eq!((origin_of("https://a.test?x"), origin_of("")), ("", ""), "what no engine writes is not sent");
    }

    #[test]
    fn only_parameters_are_taken_off() {
        let of = |rewritten, url| with_query_of(rewritten, url);
        assert_eq!(
            of("https://a.test/?b=1", "https://u:p@a.test./?utm=x&b=1#part?x"),
            "https://u:p@a.test./?b=1#part?x"
        );
        assert_eq!(of("https://a.test/x", "https://a.test/x?utm=x"), "https://a.test/x");
    }
}
