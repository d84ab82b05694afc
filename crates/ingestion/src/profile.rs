//! Profiles: how documents of one kind are cut and what their embedding sees beside the text.

use std::{collections::BTreeMap, fmt, str::FromStr};

use fontes_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// What is put before a chunk for embedding. Never part of the cited span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Context {
    /// Nothing: the text alone.
    None,
    /// The headings above the chunk.
    Headings,
    /// The title of the document and the headings above the chunk. The default: a chunk torn from its place
    /// is hard to find, and this is the cheapest way to say where it stood.
    #[default]
    TitleAndHeadings,
}

impl Context {
    /// The name as stored in the ledger and written in profiles.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Headings => "headings",
            Self::TitleAndHeadings => "title_and_headings",
        }
    }
}

/// What is put before the chunks of a revision, as the ledger stores it: `title_and_headings 48`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// What.
    pub context: Context,
    /// Most tokens of it.
    pub tokens: usize,
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.context.name(), self.tokens)
    }
}

impl FromStr for Prefix {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let (name, tokens) = text.split_once(' ')?;
            let known = [Context::None, Context::Headings, Context::TitleAndHeadings];
            let context = known.into_iter().find(|context| context.name() == name)?;
            Some(Self { context, tokens: tokens.parse().ok()? })
        };
        parse().ok_or_else(|| Error::corrupt("a stored context is not known"))
    }
}

/// How documents of one kind are cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Most tokens of a chunk, counted by the embedder, without the context.
    pub max_tokens: usize,
    /// Most tokens that a chunk repeats of the one before it, in whole sentences where they fit. 0 for none.
    pub overlap_tokens: usize,
    /// What is put before a chunk for embedding.
    #[serde(default)]
    pub context: Context,
    /// Most tokens of that.
    pub context_tokens: usize,
    /// Media types for which this profile is chosen when none is named.
    #[serde(default)]
    pub media_types: Vec<String>,
}

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    /// `Invalid` for an unknown key, a missing key, or numbers that contradict each other.
    pub fn parse(name: &str, toml: &str) -> Result<Self> {
        let profile: Self = toml::from_str(toml).map_err(|error| {
            Error::invalid(format!("profile {name:?} cannot be read: {}", error.message()))
                .advise("compare it with ingest/profiles/default.toml")
        })?;
        let contradiction = if profile.max_tokens < Self::SMALLEST {
            Some(format!("max_tokens is below {}", Self::SMALLEST))
        } else if profile.overlap_tokens * 2 > profile.max_tokens {
            Some("overlap_tokens is more than half of max_tokens".to_owned())
        } else {
            None
        };
        match contradiction {
            Some(what) => Err(Error::invalid(format!("profile {name:?}: {what}"))),
            None => Ok(profile),
        }
    }

    /// What is put before its chunks.
    pub fn prefix(&self) -> Prefix {
        Prefix { context: self.context, tokens: self.context_tokens }
    }

    /// Fewer tokens than this are no passage.
    const SMALLEST: usize = 16;
}

/// The profiles of a site, by name.
#[derive(Clone, Debug)]
pub struct Profiles(BTreeMap<String, Profile>);

/// The profiles of `ingest/profiles`, compiled in.
const BUILT_IN: [(&str, &str); 6] = [
    (Profiles::DEFAULT, include_str!("../../../ingest/profiles/default.toml")),
    ("law", include_str!("../../../ingest/profiles/law.toml")),
    ("report", include_str!("../../../ingest/profiles/report.toml")),
    ("mail", include_str!("../../../ingest/profiles/mail.toml")),
    ("clinical", include_str!("../../../ingest/profiles/clinical.toml")),
    ("spreadsheet", include_str!("../../../ingest/profiles/spreadsheet.toml")),
];

impl Profiles {
    /// Name of the profile for everything else.
    pub const DEFAULT: &'static str = "default";

    /// The profiles that come with Fontes.
    pub fn built_in() -> Self {
        let parse = |(name, toml): (&str, &str)| {
            (name.to_owned(), Profile::parse(name, toml).expect("a test reads every built-in profile"))
        };
        Self(BUILT_IN.map(parse).into())
    }

    /// Adds or replaces a profile.
    pub fn insert(&mut self, name: &str, profile: Profile) {
        self.0.insert(name.to_owned(), profile);
    }

    /// The profile named `name`.
    ///
    /// # Errors
    /// `Invalid`, naming the known ones.
    pub fn named(&self, name: &str) -> Result<&Profile> {
        self.0.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.0.keys().map(String::as_str).collect();
            Error::invalid(format!("profile {name:?} is not known")).advise(format!("use one of {}", known.join(", ")))
        })
    }

    /// The profile for documents of a media type: the first, by name, that lists it, else the default.
    pub fn for_media_type(&self, media_type: &str) -> &Profile {
        let lists = |profile: &&Profile| profile.media_types.iter().any(|listed| listed == media_type);
        self.0
            .values()
            .find(lists)
            .or_else(|| self.0.get(Self::DEFAULT))
            .expect("the built-in default is replaced, never removed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_profile_reads_and_is_chosen_by_kind() {
        let profiles = Profiles::built_in();
        for (name, _) in BUILT_IN {
            assert!(profiles.named(name).unwrap().max_tokens >= 64, "{name}");
        }
        assert_eq!(profiles.for_media_type("message/rfc822"), profiles.named("mail").unwrap());
        assert_eq!(profiles.for_media_type("text/csv"), profiles.named("spreadsheet").unwrap());
        assert_eq!(profiles.for_media_type("application/x-new"), profiles.named("default").unwrap());
    }

    #[test]
    fn unknown_names_and_keys_are_refused() {
        let error = Profiles::built_in().named("novel").unwrap_err();
        assert!(error.advice().unwrap().contains("clinical, default, law"));
        for toml in [
            "max_tokens = 256\noverlap_tokens = 0\ncontext_tokens = 0\nmax_token = 3",
            "max_tokens = 256",
            "max_tokens = 8\noverlap_tokens = 0\ncontext_tokens = 0",
            "max_tokens = 64\noverlap_tokens = 40\ncontext_tokens = 0",
        ] {
            assert_eq!(Profile::parse("mine", toml).unwrap_err().kind(), fontes_core::ErrorKind::Invalid, "{toml}");
        }
    }

    #[test]
    fn context_names_are_what_serde_writes() {
        for context in [Context::None, Context::Headings, Context::TitleAndHeadings] {
            assert_eq!(serde_json::to_value(context).unwrap(), context.name());
            let prefix = Prefix { context, tokens: 7 };
            assert_eq!(prefix.to_string().parse::<Prefix>().unwrap(), prefix);
        }
        assert!("title 3".parse::<Prefix>().is_err());
    }
}
