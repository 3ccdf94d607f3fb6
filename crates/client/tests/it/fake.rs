//! A node in memory that speaks as much of Qdrant's gRPC API as the writing side uses, and fails
//! when told to.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use ::qdrant_client::qdrant::condition::ConditionOneOf;
use ::qdrant_client::qdrant::r#match::MatchValue;
use ::qdrant_client::qdrant::point_id::PointIdOptions;
use ::qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use ::qdrant_client::qdrant::value::Kind;
use ::qdrant_client::qdrant::*;
use axum::body::Body;
use axum::http::{HeaderMap, Request, Response};
use axum::serve::ListenerExt;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use parking_lot::Mutex;
use prost::Message;
use tokio::net::TcpListener;
use tonic::{Code, Status};

/// What happens to a call instead of, or besides, what should.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// It is answered with this status and not carried out.
    Refuse(Status),
    /// It is carried out, and the answer is lost.
    LoseAnswer,
    /// A write is accepted, and applied only when the next call comes.
    Late,
}

/// What the node holds and has seen.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) config: Option<CollectionConfig>,
    pub(crate) points: BTreeMap<String, HashMap<String, Value>>,
    /// Calls so far, by method.
    pub(crate) calls: Vec<String>,
    /// Faults for the next calls of a method.
    faults: HashMap<String, VecDeque<Fault>>,
    /// The fault of call number n, counted over all methods.
    pub(crate) fault_at: Option<(usize, Fault)>,
    /// Texts that are refused for good.
    pub(crate) hated: Option<String>,
    /// After so many writes every write is refused.
    pub(crate) down_after: Option<usize>,
    late: Vec<PointStruct>,
}

/// A running node; it ends with the test's runtime.
#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) url: String,
    pub(crate) state: Arc<Mutex<State>>,
}

impl Fake {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let app = axum::Router::new().fallback(move |request: Request<Body>| {
            let state = Arc::clone(&shared);
            async move { answer(&state, request).await }
        });
        // An answer comes in several pieces, which must not wait for each other.
        let listener = listener.tap_io(|socket| socket.set_nodelay(true).unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, state }
    }

    /// The next call of this method meets this fault.
    pub(crate) fn fault(&self, method: &str, fault: Fault) {
        let mut state = self.state.lock();
        state.faults.entry(method.to_owned()).or_default().push_back(fault);
    }

    pub(crate) fn calls(&self, method: &str) -> usize {
        self.state.lock().calls.iter().filter(|call| *call == method).count()
    }

    /// The texts that are held, as `document/chunk: text`.
    pub(crate) fn texts(&self) -> Vec<String> {
        let state = self.state.lock();
        let text = |value: Option<&Value>| match value.and_then(|value| value.kind.clone()) {
            Some(Kind::StringValue(text)) => text,
            Some(Kind::IntegerValue(integer)) => integer.to_string(),
            other => panic!("{other:?}"),
        };
        let mut texts: Vec<_> = state
            .points
            .values()
            .map(|point| {
                let [doc, chunk, words] = ["_doc", "_ix", "text"].map(|key| text(point.get(key)));
                format!("{doc}/{chunk}: {words}")
            })
            .collect();
        texts.sort();
        texts
    }
}

async fn answer(state: &Mutex<State>, request: Request<Body>) -> Response<Body> {
    let method = request.uri().path().rsplit('/').next().unwrap().to_owned();
    let service = request.uri().path().contains("Collections");
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let message = body.slice(5..);
    let method = if service { format!("Collections.{method}") } else { method };
    let fault = {
        let mut state = state.lock();
        let number = state.calls.len();
        state.calls.push(method.clone());
        let late = std::mem::take(&mut state.late);
        late.into_iter().for_each(|point| put(&mut state, point));
        let at = state.fault_at.take_if(|(at, _)| *at == number).map(|(_, fault)| fault);
        at.or_else(|| state.faults.get_mut(&method).and_then(VecDeque::pop_front))
    };
    let answer = match fault {
        Some(Fault::Refuse(status)) => Err(status),
        Some(Fault::LoseAnswer) => {
            let _answer = carry_out(&mut state.lock(), &method, message, false);
            Err(Status::unavailable("connection reset"))
        }
        Some(Fault::Late) => carry_out(&mut state.lock(), &method, message, true),
        None => carry_out(&mut state.lock(), &method, message, false),
    };
    match answer {
        Ok(message) => success(&message),
        Err(status) => {
            let response: Response<tonic::body::Body> = status.into_http();
            response.map(Body::new)
        }
    }
}

fn success(message: &[u8]) -> Response<Body> {
    let length = u32::try_from(message.len()).unwrap();
    let frame = [&[0], &length.to_be_bytes()[..], message].concat();
    let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
    let body = Full::new(Bytes::from(frame)).with_trailers(async move { Some(Ok(trailers)) });
    Response::builder().header("content-type", "application/grpc").body(Body::new(body)).unwrap()
}

fn carry_out(
    state: &mut State,
    method: &str,
    message: Bytes,
    late: bool,
) -> Result<Vec<u8>, Status> {
    match method {
        "Collections.Get" => get_collection(state),
        "Collections.Create" => create_collection(state, message),
        "Collections.Update" => update_collection(state, message),
        "CreateFieldIndex" => Ok(done(UpdateStatus::Completed)),
        "Upsert" => upsert(state, message, late),
        "Get" => Ok(get(state, message)),
        "Scroll" => Ok(scroll(state, message)),
        "Delete" => Ok(delete(state, message)),
        "Count" => Ok(count(state, message)),
        other => Err(Status::unimplemented(other.to_owned())),
    }
}

fn done(status: UpdateStatus) -> Vec<u8> {
    let result = UpdateResult { operation_id: Some(1), status: status.into() };
    PointsOperationResponse { result: Some(result), ..Default::default() }.encode_to_vec()
}

fn get_collection(state: &State) -> Result<Vec<u8>, Status> {
    let Some(config) = state.config.clone() else {
        return Err(Status::not_found("Collection `c` doesn't exist!"));
    };
    let indexed = [("_doc", PayloadSchemaType::Keyword), ("_ix", PayloadSchemaType::Integer)];
    let indexed = indexed.into_iter().chain([("_gen", PayloadSchemaType::Integer)]);
    let payload_schema = indexed.map(|(key, kind)| {
        let info = PayloadSchemaInfo { data_type: kind.into(), ..Default::default() };
        (key.to_owned(), info)
    });
    let info = CollectionInfo {
        config: Some(config),
        payload_schema: payload_schema.collect(),
        ..Default::default()
    };
    Ok(GetCollectionInfoResponse { result: Some(info), ..Default::default() }.encode_to_vec())
}

fn create_collection(state: &mut State, message: Bytes) -> Result<Vec<u8>, Status> {
    if state.config.is_some() {
        return Err(Status::new(Code::InvalidArgument, "Collection `c` already exists!"));
    }
    let create = CreateCollection::decode(message).unwrap();
    let params = CollectionParams {
        vectors_config: create.vectors_config,
        sparse_vectors_config: create.sparse_vectors_config,
        ..Default::default()
    };
    let optimizer = OptimizersConfigDiff { indexing_threshold: Some(777), ..Default::default() };
    state.config = Some(CollectionConfig {
        params: Some(params),
        optimizer_config: Some(optimizer),
        ..Default::default()
    });
    Ok(CollectionOperationResponse { result: true, time: 0.0 }.encode_to_vec())
}

fn update_collection(state: &mut State, message: Bytes) -> Result<Vec<u8>, Status> {
    let update = UpdateCollection::decode(message).unwrap();
    let config = state.config.as_mut().ok_or_else(|| Status::not_found("c"))?;
    config.optimizer_config = update.optimizers_config;
    Ok(CollectionOperationResponse { result: true, time: 0.0 }.encode_to_vec())
}

fn upsert(state: &mut State, message: Bytes, late: bool) -> Result<Vec<u8>, Status> {
    let writes = state.calls.iter().filter(|call| *call == "Upsert").count();
    if state.down_after.is_some_and(|most| writes > most) {
        return Err(Status::unavailable("down"));
    }
    let UpsertPoints { points, update_filter, .. } = UpsertPoints::decode(message).unwrap();
    if let Some(hated) = &state.hated {
        let is_hated = |point: &PointStruct| {
            let text = point.payload.get("text").and_then(|text| text.kind.clone());
            matches!(text, Some(Kind::StringValue(text)) if text.contains(hated))
        };
        if points.iter().any(is_hated) {
            return Err(Status::invalid_argument("a text that is hated"));
        }
    }
    if late {
        state.late = points;
        return Ok(done(UpdateStatus::WaitTimeout));
    }
    let may = |point: &PointStruct| match (&update_filter, state.points.get(&id(point.id.clone())))
    {
        (Some(filter), Some(payload)) => matches(filter, &id(point.id.clone()), payload),
        _ => true,
    };
    let points: Vec<_> = points.into_iter().filter(may).collect();
    points.into_iter().for_each(|point| put(state, point));
    Ok(done(UpdateStatus::Completed))
}

fn put(state: &mut State, point: PointStruct) {
    state.points.insert(id(point.id), point.payload);
}

fn id(id: Option<PointId>) -> String {
    match id.unwrap().point_id_options.unwrap() {
        PointIdOptions::Uuid(uuid) => uuid,
        PointIdOptions::Num(number) => panic!("{number}"),
    }
}

fn found(id: &str, payload: &HashMap<String, Value>) -> RetrievedPoint {
    RetrievedPoint {
        id: Some(PointId::from(id.to_owned())),
        payload: payload.clone(),
        ..Default::default()
    }
}

fn get(state: &State, message: Bytes) -> Vec<u8> {
    let ids = GetPoints::decode(message).unwrap().ids.into_iter().map(|asked| id(Some(asked)));
    let result = ids.filter_map(|id| state.points.get(&id).map(|point| found(&id, point)));
    GetResponse { result: result.collect(), ..Default::default() }.encode_to_vec()
}

/// A page of at most three, so that there are many.
fn scroll(state: &State, message: Bytes) -> Vec<u8> {
    let scroll = ScrollPoints::decode(message).unwrap();
    let from = scroll.offset.map(|offset| id(Some(offset))).unwrap_or_default();
    let filter = scroll.filter.unwrap();
    let mut matching = state
        .points
        .range(from..)
        .filter(|(id, payload)| matches(&filter, id, payload))
        .map(|(id, payload)| found(id, payload));
    let result: Vec<_> = matching.by_ref().take(3).collect();
    let next_page_offset = matching.next().and_then(|point| point.id);
    ScrollResponse { result, next_page_offset, ..Default::default() }.encode_to_vec()
}

fn matches(filter: &Filter, id: &str, payload: &HashMap<String, Value>) -> bool {
    let holds = |condition: &Condition| match condition.condition_one_of.as_ref().unwrap() {
        ConditionOneOf::HasId(has) => has.has_id.iter().any(|has| has == &PointId::from(id)),
        ConditionOneOf::IsEmpty(empty) => !payload.contains_key(&empty.key),
        ConditionOneOf::Filter(inner) => matches(inner, id, payload),
        ConditionOneOf::Field(FieldCondition { key, range: Some(range), .. }) => {
            let value = payload.get(key).and_then(Value::as_integer);
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            value.is_some_and(|value| value as f64 >= range.gte.unwrap())
        }
        ConditionOneOf::Field(field) => {
            let wanted = field.r#match.as_ref().unwrap().match_value.as_ref().unwrap();
            let MatchValue::Keywords(wanted) = wanted else { panic!("{wanted:?}") };
            let value = payload.get(&field.key).and_then(|value| value.kind.as_ref());
            matches!(value, Some(Kind::StringValue(text)) if wanted.strings.contains(text))
        }
        other => panic!("{other:?}"),
    };
    let should = filter.should.is_empty() || filter.should.iter().any(holds);
    should && filter.must.iter().all(holds) && !filter.must_not.iter().any(holds)
}

fn delete(state: &mut State, message: Bytes) -> Vec<u8> {
    let selector = DeletePoints::decode(message).unwrap().points.unwrap();
    match selector.points_selector_one_of.unwrap() {
        PointsSelectorOneOf::Points(list) => {
            for gone in list.ids {
                state.points.remove(&id(Some(gone)));
            }
        }
        PointsSelectorOneOf::Filter(filter) => {
            state.points.retain(|id, payload| !matches(&filter, id, payload));
        }
    }
    done(UpdateStatus::Completed)
}

fn count(state: &State, message: Bytes) -> Vec<u8> {
    let filter = CountPoints::decode(message).unwrap().filter.unwrap();
    let found = state.points.iter().filter(|(id, payload)| matches(&filter, id, payload));
    let result = CountResult { count: u64::try_from(found.count()).unwrap() };
    CountResponse { result: Some(result), ..Default::default() }.encode_to_vec()
}
