//! Telling clients that what they have listed is no longer what is served: a notification to each
//! session of the older revisions, and to each subscription of the newer ones.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use rmcp::RoleServer;
use rmcp::model::{ResourceUpdatedNotificationParam, SubscriptionFilter};
use rmcp::service::{Peer, SubscriptionContext};
use tokio::sync::watch;

use super::descriptors::Descriptors;

/// How often each list has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    tools: u64,
    resources: u64,
    prompts: u64,
}

#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Clients with a session.
    peers: Mutex<Vec<(Peer<RoleServer>, Arc<Watching>)>>,
    counts: watch::Sender<Counts>,
}

/// The resources that one client wants to hear of.
#[derive(Debug, Default)]
pub(super) struct Watching(Mutex<BTreeSet<String>>);

impl Watching {
    pub(super) fn add(&self, uri: String) {
        self.lock().insert(uri);
    }

    pub(super) fn forget(&self, uri: &str) {
        self.lock().remove(uri);
    }

    fn uris(&self) -> Vec<String> {
        self.lock().iter().cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What of a wish can be granted: the lists, and nothing about single resources.
pub(super) fn accepted(requested: &SubscriptionFilter) -> SubscriptionFilter {
    let lists = SubscriptionFilter::builder()
        .tools_list_changed()
        .resources_list_changed()
        .prompts_list_changed()
        .build();
    requested.intersection(&lists)
}

impl Changes {
    pub(super) fn add(&self, peer: Peer<RoleServer>, watching: &Arc<Watching>) {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        peers.retain(|(peer, _)| !peer.is_transport_closed());
        peers.push((peer, Arc::clone(watching)));
    }

    fn open(&self) -> Vec<(Peer<RoleServer>, Vec<String>)> {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        peers.retain(|(peer, _)| !peer.is_transport_closed());
        let open = peers.iter().map(|(peer, w)| (peer.clone(), w.uris()));
        open.collect()
    }

    /// Tells everybody how `after` differs from `before`, as far as lists show it.
    pub(super) async fn announce(&self, before: &Descriptors, after: &Descriptors) {
        let (before, after) = (before.lists(), after.lists());
        let tools = before.tools != after.tools;
        let resources = before.resources != after.resources || before.templates != after.templates;
        let prompts = before.prompts != after.prompts;
        self.counts.send_modify(|counts| {
            counts.tools += u64::from(tools);
            counts.resources += u64::from(resources);
            counts.prompts += u64::from(prompts);
        });
        for (peer, watched) in self.open() {
            // A client that does not read must not keep the others waiting.
            tokio::spawn(async move {
                if tools {
                    let _ = peer.notify_tool_list_changed().await;
                }
                if resources {
                    let _ = peer.notify_resource_list_changed().await;
                }
                if prompts {
                    let _ = peer.notify_prompt_list_changed().await;
                }
                // What a resource holds may be another thing now; only reading it tells.
                for uri in watched {
                    let params = ResourceUpdatedNotificationParam::new(uri);
                    let _ = peer.notify_resource_updated(params).await;
                }
            });
        }
    }

    /// Keeps one subscription informed until it ends.
    pub(super) async fn listen(&self, context: &SubscriptionContext) {
        let mut counts = self.counts.subscribe();
        let mut told = *counts.borrow_and_update();
        let sink = context.sink();
        let accepted = context.accepted();
        loop {
            tokio::select! {
                () = context.cancelled() => return,
                changed = counts.changed() => if changed.is_err() { return },
            }
            let now = *counts.borrow_and_update();
            if now.tools != told.tools && accepted.tools_list_changed == Some(true) {
                let _ = sink.notify_tool_list_changed().await;
            }
            if now.resources != told.resources && accepted.resources_list_changed == Some(true) {
                let _ = sink.notify_resource_list_changed().await;
            }
            if now.prompts != told.prompts && accepted.prompts_list_changed == Some(true) {
                let _ = sink.notify_prompt_list_changed().await;
            }
            told = now;
        }
    }
}
