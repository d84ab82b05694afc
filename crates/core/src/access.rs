//! Access: labels on documents, principals, and the scope that every search must carry.
//!
//! [`AccessScope`] has no public constructor, no default and no "everything" value. The only way to one is
//! [`AccessPolicy::scope`], so code that searches cannot forget to ask who is asking. Both indexes compile
//! the scope into their own filter; the ledger checks [`AccessScope::allows`] once more on every hit.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use crate::{Digest, Error, Result};

/// Name of a group of people.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Group(pub String);

/// How closely a document is held, lowest first (the ladder of the Swiss Information Security Act, SR 128,
/// with "public" below it).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Classification {
    /// Anyone may know.
    Public,
    /// For the organisation. The default: an unlabelled document is not public.
    #[default]
    Internal,
    /// For named groups.
    Confidential,
    /// For few.
    Secret,
}

impl Classification {
    /// All levels, lowest first.
    pub const ALL: [Self; 4] = [Self::Public, Self::Internal, Self::Confidential, Self::Secret];

    /// Position on the ladder, 0 for public; what the indexes store.
    pub fn rank(self) -> u8 {
        self as u8
    }

    /// The name that configuration, filters and reports use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Confidential => "confidential",
            Self::Secret => "secret",
        }
    }
}

impl FromStr for Classification {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|level| level.name().eq_ignore_ascii_case(name)).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            Error::invalid(format!("classification {name:?} is not known")).advise(format!("use one of: {known}"))
        })
    }
}

/// Who may see a document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Labels {
    /// Groups that may see it, any of them suffices. Empty: nobody.
    pub groups: BTreeSet<Group>,
    /// How closely it is held.
    pub classification: Classification,
    /// Name of the source it came from.
    pub source: String,
}

/// Someone who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Principal {
    /// Groups the principal belongs to.
    pub groups: BTreeSet<Group>,
    /// The highest classification the principal may see.
    #[serde(default)]
    pub clearance: Classification,
}

/// The site's access rules, read from its configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessPolicy {
    /// Who is asking when nobody is named.
    pub default_principal: String,
    /// Labels of documents whose source names none.
    pub default_groups: BTreeSet<Group>,
    /// Classification of documents whose source names none.
    #[serde(default)]
    pub default_classification: Classification,
    /// Known principals by name.
    pub principals: BTreeMap<String, Principal>,
}

impl AccessPolicy {
    /// Resolves who is asking (`None`: the default principal) into what they may see.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Forbidden`] for an unknown principal: fail closed.
    pub fn scope(&self, principal: Option<&str>) -> Result<AccessScope> {
        let name = principal.unwrap_or(&self.default_principal);
        let principal = self.principals.get(name).ok_or_else(|| {
            Error::new(crate::ErrorKind::Forbidden, format!("principal {name:?} is not known"))
                .advise("name one of [access.principals] in the configuration")
        })?;
        Ok(AccessScope { principal: name.to_owned(), groups: principal.groups.clone(), clearance: principal.clearance })
    }
}

/// What one principal may see. Made only by [`AccessPolicy::scope`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessScope {
    principal: String,
    groups: BTreeSet<Group>,
    clearance: Classification,
}

impl AccessScope {
    /// Name of the principal, for the audit record.
    pub fn principal(&self) -> &str {
        &self.principal
    }

    /// Groups, any of which opens a document. Empty: nothing can be seen, and filters must say so.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = &Group> {
        self.groups.iter()
    }

    /// The highest classification that may be seen.
    pub fn clearance(&self) -> Classification {
        self.clearance
    }

    /// Digest of who it is and what they may see. What is kept under it is found by nobody else, not even by somebody
    /// with the same rights: how fast an answer comes would tell what was asked before.
    pub fn digest(&self) -> Digest {
        let clearance = [self.clearance.rank()];
        let mut fields = vec![self.principal.as_bytes(), &clearance];
        fields.extend(self.groups.iter().map(|group| group.0.as_bytes()));
        Digest::of_fields("fontes scope v1", &fields)
    }

    /// The rule itself: a shared group, and a classification not above the clearance.
    pub fn allows(&self, labels: &Labels) -> bool {
        labels.classification <= self.clearance && !self.groups.is_disjoint(&labels.groups)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(names: &[&str]) -> BTreeSet<Group> {
        names.iter().map(|name| Group((*name).into())).collect()
    }

    fn policy() -> AccessPolicy {
        let principal = |names: &[&str], clearance| Principal { groups: groups(names), clearance };
        AccessPolicy {
            default_principal: "local".into(),
            default_groups: groups(&["staff"]),
            default_classification: Classification::Internal,
            principals: [
                ("local".into(), principal(&["staff"], Classification::Internal)),
                ("nobody".into(), principal(&[], Classification::Secret)),
            ]
            .into(),
        }
    }

    #[test]
    fn a_scope_needs_group_and_clearance() {
        let scope = policy().scope(None).unwrap();
        let labels =
            |names: &[&str], classification| Labels { groups: groups(names), classification, source: String::new() };
        assert!(scope.allows(&labels(&["staff", "board"], Classification::Internal)));
        assert!(!scope.allows(&labels(&["board"], Classification::Public)));
        assert!(!scope.allows(&labels(&["staff"], Classification::Confidential)));
        assert!(!scope.allows(&labels(&[], Classification::Public)), "no group: nobody");
    }

    #[test]
    fn scopes_of_different_people_or_rights_have_different_digests() {
        let scope = |principal: &str, names: &[&str], clearance| {
            AccessScope { principal: principal.into(), groups: groups(names), clearance }.digest()
        };
        let one = scope("anna", &["a", "b"], Classification::Internal);
        assert_eq!(one, scope("anna", &["b", "a"], Classification::Internal));
        for other in [
            scope("beat", &["a", "b"], Classification::Internal),
            scope("anna", &["a"], Classification::Internal),
            scope("anna", &["ab"], Classification::Internal),
            scope("anna", &["a", "b"], Classification::Secret),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn no_group_sees_nothing_and_strangers_are_refused() {
        let scope = policy().scope(Some("nobody")).unwrap();
        let labels = Labels { groups: groups(&["staff"]), ..Labels::default() };
        assert!(!scope.allows(&labels));
        assert_eq!(policy().scope(Some("mallory")).unwrap_err().kind(), crate::ErrorKind::Forbidden);
    }
}
