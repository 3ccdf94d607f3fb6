//! The node, its engine and its volume.

use std::time::Duration;

use maud::{Markup, html};
use qmoor_plan::config::{StoreKind, VolumeKind};

use super::view::View;
use super::words::{bytes, number, span, when};
use crate::control::wire::Status;

pub(super) fn part(view: &View) -> Markup {
    html! {
        h2 { "Node" }
        @match &view.status {
            None => p.muted { "The node has not answered yet." },
            Some(status) => dl.facts {
                (node(view, status))
                (engine(view, status))
                (volume(view, status))
            },
        }
    }
}

fn fact(name: &str, value: &Markup) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn node(view: &View, status: &Status) -> Markup {
    let up = Duration::try_from(view.now.duration_since(status.started)).unwrap_or_default();
    let in_flight = status.gate.reads_in_flight + status.gate.writes_in_flight;
    html! {
        (fact("Name", &html! { (status.name) }))
        (fact("qmoor", &html! { (status.version) ", up for " (coarse(up)) }))
        @if let Some(http) = status.http {
            (fact("Door", &html! { code { (http) } ", " (in_flight) " in flight" }))
        }
    }
}

fn engine(view: &View, status: &Status) -> Markup {
    let engine = &status.engine;
    let last = view.state.completed.values().max_by_key(|completed| completed.at);
    html! {
        (fact("Engine", &html! {
            @if engine.up { span.tag.good { "up" } }
            @else if view.state.engine_down { span.tag.warn { "stopped" } }
            @else { span.tag.bad { "down" } }
            " " (view.engine_kind.as_str()) ", API " (view.api_version)
        }))
        @if let Some(since) = engine.since {
            (fact("Up since", &html! { (when(since, view.now)) ", start " (engine.starts) " of this agent" }))
        }
        @if let Some(last) = last {
            (fact("Points", &html! { (number(last.points)) " in the last backup" }))
        }
    }
}

fn volume(view: &View, status: &Status) -> Markup {
    let kind = match view.volume_kind {
        VolumeKind::Directory => "directory",
        VolumeKind::Image => "image",
        VolumeKind::Ebs => "EBS volume",
    };
    let store = match view.store_kind {
        StoreKind::Restic => "restic repository",
        StoreKind::Clone => "clones of the volume",
        StoreKind::Ebs => "EBS snapshots",
    };
    html! {
        (fact("Volume", &html! {
            (kind)
            @if let Some(now) = view.volume {
                ", " (bytes(now.free as f64)) " free of " (bytes(now.size as f64))
            } @else { ", which does not answer" }
        }))
        (fact("Data", &html! { code { (status.data.display()) } }))
        (fact("Store", &html! { (store) }))
    }
}

/// Changes no more often than once a minute.
fn coarse(time: Duration) -> String {
    if time < Duration::from_secs(60) { "less than a minute".to_owned() } else { span(time) }
}
