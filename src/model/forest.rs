//! A batch of texts as a forest of prefix trees (tries): texts with a common prefix share its nodes.
//!
//! With causal attention the result is the same as for each text alone; there is no padding and no mask.

use crate::error::{Error, Result};
use std::collections::HashMap;
use std::ops::Range;

/// The parent of a text's first node.
const ROOT: u32 = u32::MAX;

/// A batch of texts as prefix trees (tries): tokens with their parents; a parent is the previous token of the same
/// text.
///
/// The first `n_past` nodes were computed by an earlier pass and are in a [`super::KvCache`]; the
/// others are computed by the next pass. Parents always precede their children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forest {
    tokens: Vec<u32>,
    parents: Vec<u32>,
    positions: Vec<u32>,
    n_past: usize,
}

impl Forest {
    /// The forest of several texts, and each text's last node.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a text has no tokens.
    ///
    /// # Examples
    /// ```
    /// use mappa::model::Forest;
    /// let (forest, last) = Forest::of_texts(&[vec![1, 2, 3], vec![1, 2, 4]]).unwrap();
    /// assert_eq!(forest.len(), 4); // the prefix 1, 2 is shared
    /// assert_eq!(forest.path(last[1]), [0, 1, 3]);
    /// ```
    pub fn of_texts(texts: &[Vec<u32>]) -> Result<(Forest, Vec<u32>)> {
        let mut children: HashMap<(u32, u32), u32> = HashMap::new();
        Forest::build(texts, |forest, node, token| {
            *children.entry((node, token)).or_insert_with(|| forest.push(token, node))
        })
    }

    /// The forest of several texts without shared nodes, and each text's last node: for bidirectional models.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a text has no tokens.
    pub fn of_chains(texts: &[Vec<u32>]) -> Result<(Forest, Vec<u32>)> {
        Forest::build(texts, |forest, node, token| forest.push(token, node))
    }

    /// The forest of continued texts, and each continuation's first node. The prefixes share nodes and count as computed;
    /// each continuation, of the prefix with this index, has new nodes of its own, one after the other.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a continuation has no tokens, or no prefix.
    pub fn of_continuations(
        prefixes: &[&[u32]],
        continuations: &[(usize, &[u32])],
    ) -> Result<(Forest, Vec<u32>)> {
        let mut forest = Forest { tokens: vec![], parents: vec![], positions: vec![], n_past: 0 };
        let mut children: HashMap<(u32, u32), u32> = HashMap::new();
        let mut last = Vec::with_capacity(prefixes.len());
        for prefix in prefixes {
            last.push(prefix.iter().fold(ROOT, |node, &token| {
                *children.entry((node, token)).or_insert_with(|| forest.push(token, node))
            }));
        }
        forest.n_past = forest.len();
        let mut first = Vec::with_capacity(continuations.len());
        for (prefix, tokens) in continuations {
            let known = last.get(*prefix).filter(|_| !tokens.is_empty());
            let last = *known.ok_or_else(|| {
                let found = format!("{} tokens after prefix {prefix}", tokens.len());
                Error::invalid("continued text", found, "at least one token after one of the prefixes")
            })?;
            first.push(forest.len() as u32);
            tokens.iter().fold(last, |node, &token| forest.push(token, node));
        }
        Ok((forest, first))
    }

    /// The nodes that earlier passes computed, as a forest to compute.
    pub fn past(&self) -> Forest {
        let n = self.n_past;
        let part = |of: &[u32]| of[..n].to_vec();
        Forest {
            tokens: part(&self.tokens),
            parents: part(&self.parents),
            positions: part(&self.positions),
            n_past: 0,
        }
    }

    /// Builds a forest of texts; `next` returns the node of a token after the previous node, and adds it if necessary.
    fn build(
        texts: &[Vec<u32>],
        mut next: impl FnMut(&mut Forest, u32, u32) -> u32,
    ) -> Result<(Forest, Vec<u32>)> {
        let mut forest = Forest { tokens: vec![], parents: vec![], positions: vec![], n_past: 0 };
        let mut last = Vec::with_capacity(texts.len());
        for (i, text) in texts.iter().enumerate() {
            if text.is_empty() {
                return Err(Error::invalid(format!("text {i}"), "no tokens", "at least one token"));
            }
            last.push(text.iter().fold(ROOT, |node, &token| next(&mut forest, node, token)));
        }
        Ok((forest, last))
    }

    /// The forest of one text.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it has no tokens.
    pub fn of_text(tokens: &[u32]) -> Result<Forest> {
        Ok(Forest::of_texts(&[tokens.to_vec()])?.0)
    }

    /// Appends a token to the only text; all earlier nodes count as computed.
    pub fn grow(&mut self, token: u32) {
        self.n_past = self.tokens.len();
        self.push(token, self.n_past as u32 - 1);
    }

    /// Appends a token to each of several texts, given by their last nodes; all earlier nodes count as computed.
    /// Returns the new nodes; a node that occurs twice gets two children.
    pub fn grow_each(&mut self, next: &[(u32, u32)]) -> Vec<u32> {
        self.n_past = self.tokens.len();
        next.iter().map(|(node, token)| self.push(*token, *node)).collect()
    }

    /// Appends a token after a node, to be computed with the other new nodes; returns the token's node.
    pub fn branch(&mut self, node: u32, token: u32) -> u32 {
        self.push(token, node)
    }

    fn push(&mut self, token: u32, parent: u32) -> u32 {
        let position = if parent == ROOT { 0 } else { self.positions[parent as usize] + 1 };
        self.tokens.push(token);
        self.parents.push(parent);
        self.positions.push(position);
        self.tokens.len() as u32 - 1
    }

    /// Number of nodes, including those of earlier passes.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// True if there are no nodes.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Number of nodes that earlier passes computed.
    pub fn n_past(&self) -> usize {
        self.n_past
    }

    /// The token ids that the next pass computes.
    pub fn new_tokens(&self) -> &[u32] {
        &self.tokens[self.n_past..]
    }

    /// The positions, from 0 in each text, of the nodes that the next pass computes.
    pub fn new_positions(&self) -> &[u32] {
        &self.positions[self.n_past..]
    }

    /// The token ids from the beginning of the text to `node`.
    pub fn tokens_to(&self, node: u32) -> Vec<u32> {
        self.path(node).into_iter().map(|node| self.tokens[node as usize]).collect()
    }

    /// A node's parent; `None` for a text's first node.
    pub fn parent(&self, node: u32) -> Option<u32> {
        Some(self.parents[node as usize]).filter(|&parent| parent != ROOT)
    }

    /// The parent and the token of every node with a parent; in training, the parent predicts the token.
    pub fn edges(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.parents.iter().zip(&self.tokens).filter(|(parent, _)| **parent != ROOT).map(|(p, t)| (*p, *t))
    }

    /// Writes a node and its ancestors into `path`, the node first, at most `max` of them.
    pub(super) fn ancestors(&self, node: u32, max: usize, path: &mut Vec<u32>) {
        path.clear();
        let mut at = node;
        while at != ROOT && path.len() < max {
            path.push(at);
            at = self.parents[at as usize];
        }
    }

    /// A node's position in its text, from 0.
    pub(super) fn position(&self, node: u32) -> u32 {
        self.positions[node as usize]
    }

    /// The number of positions: the length of the longest text.
    pub(super) fn n_positions(&self) -> usize {
        self.positions.iter().max().map_or(0, |position| *position as usize + 1)
    }

    /// True if no two texts share a node: the nodes of each text are consecutive.
    pub(super) fn is_chains(&self) -> bool {
        (0..self.len() as u32).all(|node| self.parent(node).is_none_or(|parent| parent + 1 == node))
    }

    /// All nodes of a node's text, if no two texts share nodes.
    pub(super) fn chain_of(&self, node: u32) -> Range<u32> {
        let after = self.parents[node as usize + 1..].iter().take_while(|parent| **parent != ROOT).count();
        node - self.position(node)..node + after as u32 + 1
    }

    /// The nodes from the beginning of the text to `node`.
    pub fn path(&self, node: u32) -> Vec<u32> {
        let mut path = Vec::new();
        self.ancestors(node, usize::MAX, &mut path);
        path.reverse();
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_shared_and_paths_are_the_texts() {
        let texts = vec![vec![5, 1, 2], vec![5, 1], vec![7], vec![5, 1, 2], vec![5, 2, 1, 9]];
        let (forest, last) = Forest::of_texts(&texts).unwrap();
        assert_eq!(forest.len(), 7);
        for (text, &node) in texts.iter().zip(&last) {
            let path = forest.path(node);
            assert_eq!(&path.iter().map(|&n| forest.tokens[n as usize]).collect::<Vec<_>>(), text);
            for (position, &n) in path.iter().enumerate() {
                assert_eq!(forest.positions[n as usize] as usize, position);
            }
        }
        assert_eq!(forest.edges().count(), 5);
        assert!(forest.parents.iter().enumerate().all(|(i, &p)| p == ROOT || (p as usize) < i));
    }

    #[test]
    fn a_grown_chain_is_the_longer_text() {
        let mut chain = Forest::of_text(&[1, 2]).unwrap();
        chain.grow(3);
        assert_eq!((chain.n_past(), chain.new_tokens(), chain.new_positions()), (2, &[3][..], &[2][..]));
        assert_eq!(chain.path(2), [0, 1, 2]);
    }

    #[test]
    fn texts_grow_independently_and_a_node_may_branch() {
        let (mut forest, last) = Forest::of_texts(&[vec![1, 2], vec![1, 3]]).unwrap();
        let grown = forest.grow_each(&[(last[0], 7), (last[1], 8), (last[1], 9)]);
        assert_eq!(
            (forest.n_past(), forest.new_tokens(), forest.new_positions()),
            (3, &[7, 8, 9][..], &[2; 3][..])
        );
        let texts: Vec<Vec<u32>> = grown.iter().map(|node| forest.tokens_to(*node)).collect();
        assert_eq!(texts, [[1, 2, 7], [1, 3, 8], [1, 3, 9]]);
    }

    #[test]
    fn continuations_share_their_prefixes_alone() {
        let prefixes: [&[u32]; 3] = [&[5, 1], &[5, 2], &[]];
        let (forest, first) =
            Forest::of_continuations(&prefixes, &[(1, &[7, 8]), (0, &[7, 8]), (1, &[7]), (2, &[9])]).unwrap();
        assert_eq!((forest.n_past(), forest.past().len(), first), (3, 3, vec![3, 5, 7, 8]));
        assert_eq!(forest.new_positions(), [2, 3, 2, 3, 2, 0]);
        let texts: Vec<Vec<u32>> = [4, 6, 7, 8].iter().map(|node| forest.tokens_to(*node)).collect();
        assert_eq!(texts, [vec![5, 2, 7, 8], vec![5, 1, 7, 8], vec![5, 2, 7], vec![9]]);
        assert!(Forest::of_continuations(&prefixes, &[(3, &[7])]).is_err());
        assert!(Forest::of_continuations(&prefixes, &[(0, &[])]).is_err());
    }

    #[test]
    fn chains_share_no_nodes() {
        let (forest, last) = Forest::of_chains(&[vec![5, 1], vec![5, 1, 2], vec![7]]).unwrap();
        assert_eq!((forest.len(), last), (6, vec![1, 4, 5]));
        assert!(forest.is_chains());
        assert_eq!([0, 1, 2, 4, 5].map(|node| forest.chain_of(node)), [0..2, 0..2, 2..5, 2..5, 5..6]);
        assert!(!Forest::of_texts(&[vec![5, 1, 2], vec![5, 2]]).unwrap().0.is_chains());
    }

    #[test]
    fn an_empty_text_is_refused() {
        assert!(Forest::of_texts(&[vec![1], vec![]]).unwrap_err().to_string().contains("text 1"));
    }
}
