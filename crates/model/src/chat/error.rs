//! Why a conversation cannot be written.

use fontes_core::{Error, ErrorKind};

/// A conversation that cannot be turned into a prompt.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// There is nothing to continue.
    #[error("conversation has no messages")]
    Empty,
    /// The checkpoint's template is no Jinja that is understood here.
    #[error("chat template of the model cannot be compiled")]
    Syntax(#[source] minijinja::Error),
    /// The template stopped, or ran past its limits.
    #[error("chat template of the model failed")]
    Render(#[source] minijinja::Error),
    /// The template left out or changed what someone said.
    #[error("chat template of the model dropped message {message}")]
    Dropped {
        /// The message's number, from 1.
        message: usize,
    },
}

impl From<ChatError> for Error {
    fn from(error: ChatError) -> Self {
        let (kind, advice) = match &error {
            ChatError::Empty => (ErrorKind::Invalid, "send at least one message"),
            ChatError::Syntax(_) | ChatError::Render(_) | ChatError::Dropped { .. } => {
                (ErrorKind::Unavailable, "use the built-in format for this model instead of the template it brings")
            }
        };
        Self::new(kind, error.to_string()).advise(advice).because(error)
    }
}
