//! How a browser is started: the options that `regen` takes and hands to the broker unchanged.

use std::path::PathBuf;

use clap::Args;

/// The options of a browser.
#[derive(Debug, Clone, Default, Args)]
pub struct BrowserOptions {
    /// Keep everything in this folder instead of the default profile
    #[arg(long, value_name = "DIR", global = true, env = "REGEN_PROFILE")]
    pub profile: Option<PathBuf>,
    /// No window: drive it from the command line
    #[arg(long)]
    pub headless: bool,
    /// Trust the certificate authorities in this PEM file too (may be given more than once)
    #[arg(long, value_name = "FILE")]
    pub extra_ca: Vec<PathBuf>,
    /// Page size without a window, in pixels
    #[arg(long, value_name = "WxH", value_parser = size)]
    pub size: Option<(u32, u32)>,
    /// Scale factor without a window
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=2))]
    pub scale: Option<u32>,
    /// What to open: addresses, or words to search for
    #[arg(value_name = "URL")]
    pub urls: Vec<String>,
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let wrong = || "give the size as 1280x800, each side from 64 to 8192".to_owned();
    let (width, height) = text.split_once('x').ok_or_else(wrong)?;
    let side = |text: &str| text.parse().ok().filter(|side| (64..=8192).contains(side));
    side(width).zip(side(height)).ok_or_else(wrong)
}

impl BrowserOptions {
    /// As arguments for the broker.
    #[must_use]
    pub fn to_arguments(&self) -> Vec<std::ffi::OsString> {
        let mut arguments: Vec<std::ffi::OsString> = Vec::new();
        if let Some(profile) = &self.profile {
            arguments.extend(["--profile".into(), profile.into()]);
        }
        if self.headless {
            arguments.push("--headless".into());
        }
        for file in &self.extra_ca {
            arguments.extend(["--extra-ca".into(), file.into()]);
        }
        if let Some((width, height)) = self.size {
            arguments.extend(["--size".into(), format!("{width}x{height}").into()]);
        }
        if let Some(scale) = self.scale {
            arguments.extend(["--scale".into(), scale.to_string().into()]);
        }
        arguments.push("--".into());
        arguments.extend(self.urls.iter().map(Into::into));
        arguments
    }
}
