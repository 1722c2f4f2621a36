//! State of the net-daemon's Tor.

/// State of Tor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TorState {
    /// Not used yet.
    #[default]
    Off,
    /// It starts.
    Starting,
    /// The last connection succeeded.
    Ready,
    /// The last connection failed; retries continue.
    Failing,
}

/// Status of Tor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TorStatus {
    /// State.
    pub state: TorState,
    /// Progress of the start, in percent.
    pub percent: u32,
    /// Reason of a delay or failure; may be empty.
    pub message: String,
    /// Connections that are not open yet.
    pub waiting: u32,
    /// Open connections.
    pub open: u32,
}
