//! Errors of the components that the broker itself meets.

use crate::grants::GrantError;
use crate::network::NetworkError;
use crate::persistence::PersistenceError;

/// Error of a component.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BrokerError {
    #[error(transparent)]
    Grant(#[from] GrantError),
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error(transparent)]
    Persistence(#[from] PersistenceError),
}
