//! A virtual X server (Xvfb), with simulated keyboard and mouse input.

use std::process::{Child, Command, Stdio};

use crate::{DEADLINE, eventually, within};

/// Left edge of the tabs in a window that shows the default workspace, in pixels: before them is the button of the workspace.
pub const TABS_LEFT: usize = 99;

/// A private X display. It ends when this is dropped.
#[derive(Debug)]
pub struct Display {
    server: Child,
    number: u32,
}

impl Display {
    /// Starts an X server with a screen of this size.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "a test starts its own X server")]
    pub fn start(width: u32, height: u32) -> Self {
        // Tests run concurrently: each derives a display number from its process id, and tries the next one if it is
        // taken.
        let first = 100 + std::process::id() % 20_000;
        for number in first..first + 50 {
            if std::path::Path::new(&format!("/tmp/.X11-unix/X{number}")).exists() {
                continue;
            }
            let mut server = Command::new("Xvfb")
                .args([&format!(":{number}"), "-screen", "0", &format!("{width}x{height}x24"), "-nolisten", "tcp"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("Xvfb is installed by ./x setup");
            let socket = format!("/tmp/.X11-unix/X{number}");
            let up = eventually("the X server", || {
                let ended = server.try_wait().expect("its state").is_some();
                (ended || std::path::Path::new(&socket).exists()).then_some(!ended)
            });
            if up {
                return Self { server, number };
            }
        }
        panic!("no X display is free");
    }

    /// Returns the value for `DISPLAY`.
    #[must_use]
    pub fn name(&self) -> String {
        format!(":{}", self.number)
    }

    /// Runs `xdotool` on this display.
    #[expect(clippy::disallowed_methods, reason = "a test starts xdotool and similar tools")]
    pub fn xdotool(&self, arguments: &[&str]) {
        let run = || {
            let status = Command::new("xdotool").args(arguments).env("DISPLAY", self.name()).status();
            status.expect("xdotool is installed by ./x setup").success()
        };
        // A window cannot take the focus in the moment before it is shown.
        let is_focus = arguments.last() == Some(&"windowfocus");
        let is_done = run() || is_focus && within(DEADLINE, || run().then_some(())).is_some();
        assert!(is_done, "xdotool {arguments:?}");
    }

    /// Returns whether a window whose title matches this regular expression is visible.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "a test starts xdotool and similar tools")]
    pub fn has_window(&self, title: &str) -> bool {
        let search = ["search", "--onlyvisible", "--name", title];
        let found = Command::new("xdotool").args(search).env("DISPLAY", self.name()).output();
        found.expect("xdotool is installed by ./x setup").status.success()
    }

    /// Returns the properties of a window and of its leader window, as `xprop` prints them.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "a test starts xdotool and similar tools")]
    pub fn window_properties(&self, title: &str) -> String {
        let search = ["search", "--onlyvisible", "--name", title];
        let found = Command::new("xdotool").args(search).env("DISPLAY", self.name()).output();
        let found = found.expect("xdotool is installed by ./x setup").stdout;
        let id = String::from_utf8_lossy(&found).lines().next().expect("a window").to_owned();
        let properties = |id: &str| {
            let output = Command::new("xprop").args(["-id", id]).env("DISPLAY", self.name()).output();
            String::from_utf8_lossy(&output.expect("xprop is installed by ./x setup").stdout).into_owned()
        };
        let own = properties(&id);
        let leader = own.lines().find_map(|line| line.strip_prefix("WM_CLIENT_LEADER(WINDOW): window id # "));
        format!("{own}\n{}", properties(leader.expect("a leader")))
    }

    /// Returns the clipboard's content in a format; empty if the clipboard does not offer it.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "a test starts xdotool and similar tools")]
    pub fn clipboard(&self, format: &str) -> Vec<u8> {
        let arguments = ["-selection", "clipboard", "-o", "-t", format];
        let output = Command::new("xclip").args(arguments).env("DISPLAY", self.name()).output();
        output.expect("xclip is installed by ./x setup").stdout
    }

    /// Switches the display's keyboard layout.
    #[expect(clippy::disallowed_methods, reason = "a test starts xdotool and similar tools")]
    pub fn set_keyboard(&self, layout: &str) {
        let status = Command::new("setxkbmap").arg(layout).env("DISPLAY", self.name()).status();
        assert!(status.expect("setxkbmap is installed by ./x setup").success(), "setxkbmap {layout}");
    }

    /// Takes a screenshot of the whole screen.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "a test starts xdotool and similar tools")]
    pub fn screenshot(&self) -> Screen {
        // While a window is being mapped or resized, xwd may print nothing.
        let picture = eventually("a picture of the screen", || {
            let output = Command::new("xwd")
                .args(["-root", "-silent"])
                .env("DISPLAY", self.name())
                .output()
                .expect("xwd is installed by ./x setup");
            Some(output.stdout).filter(|picture| !picture.is_empty())
        });
        Screen::from_xwd(&picture)
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        // The process may have ended by itself.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// A screenshot, RGB.
#[derive(Debug)]
pub struct Screen {
    width: usize,
    rows: Vec<Vec<[u8; 3]>>,
}

impl Screen {
    /// Decodes the format of `xwd`: a header of 32-bit numbers, colours, then rows of BGRX.
    fn from_xwd(bytes: &[u8]) -> Self {
        let number = |index: usize| u32::from_be_bytes(bytes[index * 4..index * 4 + 4].try_into().unwrap()) as usize;
        let (header, width, height, stride, colours) = (number(0), number(4), number(5), number(12), number(19));
        let start = header + colours * 12;
        // `xwd` omits the fourth byte if windows with different visuals are visible.
        let pixel = number(11) / 8;
        let row = |y: usize| {
            let from = start + y * stride;
            bytes[from..from + width * pixel].chunks_exact(pixel).map(|pixel| [pixel[2], pixel[1], pixel[0]]).collect()
        };
        Self { width, rows: (0..height).map(row).collect() }
    }

    /// Returns a pixel.
    #[must_use]
    pub fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        self.rows[y][x]
    }

    /// Returns the share of an area that has approximately this colour, 0 to 1.
    #[must_use]
    pub fn share(&self, colour: [u8; 3], x: usize, y: usize, width: usize, height: usize) -> f64 {
        let close = |pixel: &[u8; 3]| pixel.iter().zip(colour).all(|(a, b)| a.abs_diff(b) < 12);
        let area = self.rows.iter().skip(y).take(height);
        let hits: usize = area.map(|row| row.iter().skip(x).take(width).filter(|pixel| close(pixel)).count()).sum();
        #[expect(clippy::cast_precision_loss, reason = "a share of a few million pixels")]
        let share = hits as f64 / (width * height) as f64;
        share
    }

    /// Returns whether any pixel differs.
    #[must_use]
    pub fn differs(&self, other: &Self) -> bool {
        self.rows != other.rows
    }

    /// Counts the different colours.
    #[must_use]
    pub fn colours(&self) -> usize {
        let all: std::collections::HashSet<&[u8; 3]> = self.rows.iter().flatten().collect();
        all.len()
    }

    /// Returns the width in pixels.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }
}
