//! Whether a request may have been carried out, and keeping one that makes something new from being
//! sent a second time.

use std::error::Error as StdError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextRef, Error, FinalizerInterceptorContextRef, InterceptorContext,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::retries::classifiers::{
    ClassifyRetry, RetryAction, RetryClassifierPriority,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::error::ErrorMetadata;

use crate::error::is_throttling;

/// Whether an attempt that ended with `error` may have been carried out all the same. Only for an
/// attempt whose request was handed to the connection.
fn may_have_happened(error: &OrchestratorError<Error>, answer: Option<&HttpResponse>) -> bool {
    if let Some(refusal) = error.as_operation_error() {
        let code = refusal.downcast_ref::<ErrorMetadata>().and_then(ErrorMetadata::code);
        let status = answer.map_or(500, |answer| answer.status().as_u16());
        return status >= 500 && !code.is_some_and(is_throttling);
    }
    error.as_connector_error().is_none_or(|why| !never_connected(why))
}

/// Whether the request got no connection at all.
fn never_connected(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<hyper_util::client::legacy::Error>() {
            return error.is_connect();
        }
        next = error.source();
    }
    false
}

/// Notes whether any attempt of a call may have been carried out.
#[derive(Debug)]
pub(crate) struct Watch {
    transmitting: AtomicBool,
    uncertain: Arc<AtomicBool>,
}

impl Watch {
    pub(crate) fn new(uncertain: &Arc<AtomicBool>) -> Self {
        Self { transmitting: AtomicBool::new(false), uncertain: Arc::clone(uncertain) }
    }
}

#[dyn_dispatch_hint]
impl Intercept for Watch {
    fn name(&self) -> &'static str {
        "Watch"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.transmitting.store(true, Ordering::Release);
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let transmitted = self.transmitting.swap(false, Ordering::AcqRel);
        if transmitted
            && let Some(Err(error)) = context.output_or_error()
            && may_have_happened(error, context.response())
        {
            self.uncertain.store(true, Ordering::Release);
        }
        Ok(())
    }
}

/// Forbids another attempt after one that may have been carried out.
#[derive(Debug)]
pub(crate) struct Once;

impl ClassifyRetry for Once {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        match context.output_or_error() {
            Some(Err(error)) if may_have_happened(error, context.response()) => {
                RetryAction::RetryForbidden
            }
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "Once"
    }

    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}
