// Generated from ui-shell/src/bridge/mod.rs: do not edit.

export type Rect = { x: number, y: number, width: number, height: number, };

export type FromChrome = { "type": "ready" } | { "type": "layout", page: Rect, 
/**
 * Parts of the chrome that take clicks.
 */
covers: Array<Rect>, 
/**
 * Parts of the chrome that are visible: `covers`, bubbles that let clicks through, and the shadows of both.
 */
shown: Array<Rect>, } | { "type": "openTab", input: string, background: boolean, } | { "type": "closeTab", tab: number, } | { "type": "activateTab", tab: number, } | { "type": "moveTab", tab: number, index: number, } | { "type": "duplicateTab", tab: number, } | { "type": "pinTab", tab: number, pinned: boolean, } | { "type": "muteTab", tab: number, muted: boolean, } | { "type": "navigate", tab: number, input: string, } | { "type": "history", tab: number, delta: number, } | { "type": "reload", tab: number, bypassCache: boolean, } | { "type": "stop", tab: number, } | { "type": "stopScript", tab: number, } | { "type": "allowInsecure", tab: number, } | { "type": "allowPrivate", tab: number, } | { "type": "zoom", tab: number, zoom: number, } | { "type": "find", tab: number, text: string, forward: boolean, next: boolean, } | { "type": "focusPage" } | { "type": "focusChrome" } | { "type": "keepKeyboard", tab: number, inBars: boolean, } | { "type": "answerSession", session: number, restore: boolean, tabs: Array<number>, } | { "type": "answerVpn", name: string, allow: boolean, } | { "type": "answerDownloads", site: string, workspace: string, allow: boolean, } | { "type": "openOutside", url: string, } | { "type": "answerDialog", tab: number, dialog: number, accept: boolean, text: string, password: string, stop: boolean, } | { "type": "offerSession" } | { "type": "screenshot", tab: number, x: number, y: number, width: number, height: number, } | { "type": "download", action: ChromeDownloadAction, 
/**
 * 0 for an order about all that have ended.
 */
download: number, } | { "type": "visits", request: number, action: ChromeVisitAction, words: string, 
/**
 * Registrable domain; empty: every site.
 */
domain: string, since: number | null, until: number | null, visits: Array<number>, 
/**
 * Last visit of the list so far; 0: begin with the newest.
 */
after: number, } | { "type": "complete", request: number, typed: string, } | { "type": "bookmarks", request: number, action: ChromeBookmarkAction, } | { "type": "settings", request: number, action: ChromeSettingAction, } | { "type": "findAnything", request: number, typed: string, } | { "type": "site", request: number, tab: number, } | { "type": "clearSite", tab: number, } | { "type": "siteLevel", tab: number, level: ChromeLevel, } | { "type": "allowHere", tab: number, url: string, } | { "type": "health", request: number, } | { "type": "answerPermission", question: number, answer: ChromePermissionAnswer, } | { "type": "choosePermission", tab: number, kind: ChromePermissionKind, state: ChromePermissionState, } | { "type": "workspaces", action: ChromeWorkspaceAction, } | { "type": "run", command: string, } | { "type": "quitAnyway" };

export type ToChrome = { "type": "tab", tab: ChromeTab, } | { "type": "tabClosed", tab: number, } | { "type": "order", tabs: Array<number>, active: number, first: boolean, } | { "type": "favicon", tab: number, width: number, height: number, rgba: Array<number>, } | { "type": "hover", url: string, } | { "type": "findResult", tab: number, 
/**
 * Number of matches; 4294967295 stands for more than can be counted.
 */
matches: number, 
/**
 * Position of the selected match, from 1; 0: unknown.
 */
position: number, } | { "type": "download", download: ChromeDownload, } | { "type": "downloadGone", download: number, } | { "type": "sessionOffer", session: number, tabs: number, savedAt: number, choices: Array<ChromeChoice>, } | { "type": "downloadQuestion", site: string, workspace: string, files: number, } | { "type": "outsideQuestion", site: string, url: string, } | { "type": "vpnQuestion", name: string, peer: string, asked: boolean, } | { "type": "quitQuestion", downloads: number, 
/**
 * Number of pages that ask to confirm leaving them.
 */
pages: number, } | { "type": "notice", level: string, text: string, } | { "type": "visits", request: number, visits: Array<ChromeVisit>, hasMore: boolean, changed: number, } | { "type": "bookmarks", request: number, bookmarks: Array<ChromeBookmark>, hasMore: boolean, 
/**
 * Number of bookmarks and folders that have changed.
 */
changed: number, 
/**
 * The bookmark that was added; 0: none.
 */
added: number, 
/**
 * Reason why the change was refused; empty: it was made.
 */
error: string, } | { "type": "bookmarksChanged" } | { "type": "completions", request: number, suggestions: Array<ChromeSuggestion>, 
/**
 * Text that completes what is typed to an address; empty: none does.
 */
inlineRest: string, inlineUrl: string, } | { "type": "settings", request: number, settings: Array<ChromeSetting>, 
/**
 * Mistakes in the files, in words.
 */
problems: Array<string>, 
/**
 * Reason why the change was refused; empty: it was made.
 */
error: string, } | { "type": "followed", 
/**
 * Address of the Home button; empty: the start page.
 */
home: string, bookmarksBar: boolean, restoreSession: boolean, commands: Array<ChromeCommand>, } | { "type": "site", request: number, report: ChromeSite, } | { "type": "found", request: number, entries: Array<ChromeFound>, } | { "type": "health", request: number, lines: Array<ChromeHealth>, } | { "type": "permissionQuestion", question: number, tab: number, site: string, kind: ChromePermissionKind | null, 
/**
 * Embedded site that asks; empty: the page itself.
 */
asker: string, 
/**
 * The page asked without a click or key.
 */
quiet: boolean, open: boolean, } | { "type": "windowActive", active: boolean, } | { "type": "workspaces", workspaces: Array<ChromeWorkspace>, } | { "type": "command", name: string, } | { "type": "fullscreen", on: boolean, 
/**
 * True if an element of the active tab's page asked for full screen.
 */
byPage: boolean, } | { "type": "pageFocused" };

export type ChromeTab = { id: number, url: string, 
/**
 * Address as people read it: a name in another script is decoded, unless it could be taken for another one.
 */
address: string, title: string, site: string, 
/**
 * Identifier of its workspace.
 */
workspace: string, state: string, canGoBack: boolean, canGoForward: boolean, tls: string, progress: number, reason: string, zoom: number, muted: boolean, audible: boolean, pinned: boolean, openerHost: boolean, unresponsive: boolean, blocked: number, route: string, 
/**
 * Registrable domain, as people read it.
 */
domain: string, hasHost: boolean, dialog: ChromeDialog | null, };

export type ChromeDialog = { number: number, kind: string, text: string, preset: string, server: string, again: boolean, };

export type ChromeDownload = { id: number, name: string, received: number, total: number, state: string, error: string, canResume: boolean, 
/**
 * Address of the file.
 */
url: string, 
/**
 * Seconds since 1970; 0: it has not ended.
 */
endedAt: number, };

export type ChromeDownloadAction = "cancel" | "pause" | "resume" | "forget" | "forgetEnded" | "showFolder";

export type ChromeChoice = { tab: number, title: string, url: string, };

export type ChromeVisitAction = "list" | "delete" | "undo";

export type ChromeVisit = { id: number, 
/**
 * Time, in seconds since 1970.
 */
at: number, url: string, title: string, workspace: string, };

export type ChromeSuggestion = { url: string, title: string, 
/**
 * Tab that shows it; 0: none.
 */
tab: number, bookmarked: boolean, };

export type ChromeBookmark = { id: number, 
/**
 * Folder; 1: the bookmarks bar, 2: the other bookmarks.
 */
parent: number, url: string | null, title: string, tags: Array<string>, };

export type ChromeBookmarkAction = { "kind": "list", parent: number | null, words: string, 
/**
 * Address; empty: any.
 */
url: string, 
/**
 * Folders only.
 */
folders: boolean, 
/**
 * Number of entries that are known already.
 */
skip: number, } | { "kind": "add", parent: number, 
/**
 * Address; none for a folder.
 */
url: string | null, title: string, } | { "kind": "edit", id: number, title: string | null, url: string | null, tags: Array<string> | null, 
/**
 * Folder to move to.
 */
parent: number | null, place: number, } | { "kind": "remove", id: number, } | { "kind": "undo", };

export type ChromeCommand = { name: string, words: string, 
/**
 * Combinations of keys, such as `Ctrl+Shift+A`; the first is shown.
 */
keys: Array<string>, 
/**
 * Does something only where a page of a site is shown.
 */
inPages: boolean, };

export type ChromeSettingChoice = { value: string, words: string, };

export type ChromeSettingKind = "switch" | "choice" | "number" | "text" | "list" | "keys";

export type ChromeSettingSource = "default" | "administratorsDefault" | "user" | "commandLine" | "administrator";

export type ChromeSetting = { name: string, section: string, words: string, help: string, kind: ChromeSettingKind, 
/**
 * One text, or those of a list.
 */
values: Array<string>, defaults: Array<string>, choices: Array<ChromeSettingChoice>, min: number, max: number, unit: string, source: ChromeSettingSource, atNextStart: boolean, };

export type ChromeSettingAction = { "kind": "list", words: string, } | { "kind": "set", name: string, values: Array<string>, } | { "kind": "reset", name: string, };

export type ChromeFoundKind = "tab" | "page" | "bookmark" | "command" | "setting" | "workspace";

export type ChromeFound = { kind: ChromeFoundKind, 
/**
 * Tab; 0 for other kinds.
 */
tab: number, 
/**
 * Address, name of a command or a setting, or identifier of a workspace; empty for a tab.
 */
target: string, title: string, detail: string, 
/**
 * Characters of the title that match, counted from 0.
 */
matched: Array<number>, };

export type ChromeLevel = "default" | "off" | "balanced" | "strict";

export type ChromeBlocked = { url: string, kind: string, rule: string, list: string, };

export type ChromeSite = { site: string, workspace: string, 
/**
 * Process; 0: none.
 */
pid: number, memoryKb: number, storageBytes: number, storageFiles: number, route: string, 
/**
 * `off`, `balanced` or `strict`.
 */
level: string, 
/**
 * The level was chosen for this site.
 */
ownLevel: boolean, 
/**
 * Newest first.
 */
blocked: Array<ChromeBlocked>, permissions: Array<ChromePermission>, 
/**
 * As the site's process says.
 */
certificate: ChromeCertificate | null, 
/**
 * As the site's process says.
 */
cookies: Array<ChromeCookie>, };

export type ChromeCertificate = { subject: string, issuer: string, from: number, until: number, };

export type ChromeCookie = { name: string, bytes: number, domain: string, 
/**
 * Seconds since 1970; 0: with the session.
 */
expires: number, };

export type ChromeHealth = { part: string, 
/**
 * `good`, `off`, `busy` or `trouble`.
 */
state: string, words: string, value: number, 
/**
 * Unit of the value; empty: it says nothing.
 */
unit: string, };

export type ChromePermission = { kind: ChromePermissionKind, state: ChromePermissionState, 
/**
 * Seconds since 1970; 0: without an end.
 */
until: number, };

export type ChromePermissionKind = "location" | "microphone" | "camera" | "notifications" | "clipboard" | "pointerLock" | "storageAccess" | "autoplay";

export type ChromePermissionState = "ask" | "allowed" | "denied" | "unavailable";

export type ChromePermissionAnswer = "once" | "whileOpen" | "forDay" | "always" | "never" | "dismissed";

export type ChromeWorkspace = { 
/**
 * Empty: the default workspace.
 */
id: string, name: string, colour: string, throwAway: boolean, 
/**
 * Route of its own; empty: the default.
 */
route: string, 
/**
 * Level of shields of its own; empty: the default.
 */
shields: string, 
/**
 * Hosts of the sites that always open in it.
 */
sites: Array<string>, };

export type ChromeWorkspaceAction = { "kind": "create", name: string, throwAway: boolean, } | { "kind": "edit", workspace: string, name: string | null, colour: string | null, route: string | null, shields: string | null, } | { "kind": "show", workspace: string, } | { "kind": "delete", workspace: string, } | { "kind": "site", url: string, workspace: string | null, } | { "kind": "move", tab: number, workspace: string, };
