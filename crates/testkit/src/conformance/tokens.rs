//! The contract of [`TokenStore`].

use std::collections::BTreeSet;

use fontes_core::{Digest, TokenStore};

use crate::Specimen;

/// Checks the whole contract on an empty store.
///
/// # Panics
/// When the store breaks it.
pub fn token_store(store: &dyn TokenStore) {
    let [first, second, third] = [0, 1, 2].map(|n| Specimen::new("doc", n, "text").id());
    let [one, other] = ["one", "other"].map(|name| Digest::of(name.as_bytes()));
    assert_eq!(store.get(&one, &[first]).expect("the store works"), [vec![]], "an empty store");
    let large = vec![7; 100_000];
    store.put(&one, &[(first, &[1, 2]), (second, &large)]).expect("the store works");
    store.put(&other, &[(first, &[3])]).expect("the store works");
    assert_eq!(
        store.get(&one, &[second, third, first, second]).expect("the store works"),
        [large.clone(), vec![], vec![1, 2], large]
    );
    assert_eq!(
        store.get(&other, &[first, second]).expect("the store works"),
        [vec![3], vec![]],
        "each embedder has its own"
    );
    store.put(&one, &[(first, &[4, 5, 6])]).expect("the store works");
    assert_eq!(store.get(&one, &[first]).expect("the store works"), [vec![4, 5, 6]], "the later replaces");
    assert_eq!(store.ids(Some(&one)).expect("the store works"), BTreeSet::from([first, second]));
    store.put(&other, &[(third, &[8])]).expect("the store works");
    assert_eq!(store.ids(None).expect("the store works"), BTreeSet::from([first, second, third]));
    store.remove(&[]).expect("the store works");
    store.remove(&[first, third]).expect("the store works");
    assert_eq!(store.get(&one, &[first]).expect("the store works"), [vec![]]);
    assert_eq!(store.get(&other, &[first]).expect("the store works"), [vec![]], "of every embedder");
    assert_eq!(store.ids(Some(&one)).expect("the store works"), BTreeSet::from([second]));
    assert_eq!(store.get(&one, &[]).expect("the store works"), Vec::<Vec<u8>>::new());
}
