//! Web views of this host: all of them share one web context, which the first one sets up.

use glib::ToVariant;
use gtk::prelude::IsA;
use webkit2gtk::{
    CookieManagerExt, CookiePersistentStorage, HardwareAccelerationPolicy, SettingsExt, WebContextExt, WebView,
    WebViewExt,
};
use wry::{ProxyConfig, ProxyEndpoint, WebViewBuilder, WebViewBuilderExtUnix, WebViewExtUnix};

use crate::downloads::destination::choose_destination;
use crate::site_context::{BUCKET, SiteContext};

/// Creates a hidden view for a request of the host itself.
pub(crate) fn build_hidden(site: &SiteContext, window: &gtk::Window) -> anyhow::Result<wry::WebView> {
    let wry = build_web(site, window, None)?;
    let web = wry.webview();
    configure(&web, site.site.as_str());
    site.device.set_up(&web, &site.languages);
    if let Some(manager) = web.context().and_then(|context| context.cookie_manager()) {
        site.cookies.attach(&manager);
    }
    Ok(wry)
}

/// Creates a web view in this host's web context, which the first call sets up for all views.
pub(crate) fn build_web(
    site: &SiteContext,
    container: &impl IsA<gtk::Container>,
    opener: Option<&WebView>,
) -> anyhow::Result<wry::WebView> {
    let mut context = site.web_context.borrow_mut();
    let mut builder = WebViewBuilder::new_with_web_context(&mut context)
        .with_download_started_handler(|_, destination| choose_destination(destination))
        .with_clipboard(false)
        .with_focused(true);
    // Set once for all views: each time, the engine aborts the loads of all other views.
    if !site.has_proxy.replace(true) {
        let proxy = ProxyEndpoint { host: "127.0.0.1".to_owned(), port: site.tunnel.port.to_string() };
        builder = builder.with_proxy_config(ProxyConfig::Socks5(proxy));
    }
    if let Some(opener) = opener {
        builder = builder.with_related_view(opener.clone());
    } else {
        builder = builder.with_extensions_path("/regen/page-agent");
    }
    Ok(builder.build_gtk(container)?)
}

/// Applies the settings of every web view.
pub(crate) fn configure(web: &WebView, site: &str) {
    if let Some(settings) = WebViewExt::settings(web) {
        settings.set_hardware_acceleration_policy(HardwareAccelerationPolicy::Never);
        settings.set_javascript_can_open_windows_automatically(false);
        settings.set_enable_developer_extras(true);
        settings.set_allow_file_access_from_file_urls(false);
        settings.set_enable_back_forward_navigation_gestures(false);
    }
    if let Some(input) = web.input_method_context() {
        webkit2gtk::InputMethodContextExt::set_enable_preedit(&input, true);
    }
    if let Some(context) = web.context() {
        context.set_web_extensions_initialization_user_data(&(site,).to_variant());
        // wry's default is a text file, which loses cookies in a crash.
        if let Some(cookies) = context.cookie_manager() {
            cookies.set_persistent_storage(&format!("{BUCKET}/cookies.sqlite"), CookiePersistentStorage::Sqlite);
        }
        if context.favicon_database_directory().is_none() {
            context.set_favicon_database_directory(Some(&format!("{BUCKET}/favicons")));
        }
    }
}
