//! Completes what the library answered: in the order of the document, and with the errors of fields and selections that it was
//! not given, since they can't run. Each belongs to the places where it is reached.

use async_graphql::{Name, PathSegment, ServerError, Value, indexmap::IndexMap};

use super::{
    code::{Code, Fault},
    cost::{self, ERROR_BYTES},
    declaration::Leaf,
    normal_form::{Below, Content, Shape},
    response::Data,
};

/// A completion, at a place within a response.
#[derive(Default)]
pub(super) struct Completion {
    path: Vec<PathSegment>,
    errors: Vec<ServerError>,
    bytes: usize,
}

impl Completion {
    /// The value at a key of the object at this place. `None` when the object can't be answered, because a field of it that is
    /// never null can't.
    pub(super) fn at(&mut self, key: &Name, value: Option<Value>, below: &Below) -> Option<Data> {
        self.path.push(PathSegment::Field(key.to_string()));
        let data = self.value(value, &below.content);
        self.path.pop();
        data.or_else(|| below.is_nullable.then_some(Data::Null))
    }

    /// An object at this place.
    pub(super) fn object(&mut self, mut fields: IndexMap<Name, Value>, Shape(keys): &Shape) -> Option<Data> {
        let field = |(key, below): &(Name, Below)| Some((key.clone(), self.at(key, fields.swap_remove(key), below)?));
        keys.iter().map(field).collect::<Option<_>>().map(Data::Object)
    }

    /// The errors in the order in which they were met.
    ///
    /// # Errors
    /// When they take more than a response may have.
    pub(super) fn errors(self) -> Result<Vec<ServerError>, Fault> {
        if self.bytes > ERROR_BYTES {
            let message = format!(
                "the errors of an operation may take {ERROR_BYTES} bytes, but those of this one take more: use shorter \
                 aliases"
            );
            return Err(Fault::new(Code::QueryTooComplex, message));
        }
        Ok(self.errors)
    }

    fn value(&mut self, value: Option<Value>, content: &Content) -> Option<Data> {
        match (value, content) {
            (_, Content::Argument(error)) | (Some(Value::Object(_)), Content::Selections(error)) => self.fail(error),
            (None | Some(Value::Null), _) => Some(Data::Null),
            (Some(Value::List(items)), _) => {
                // No item of a list is null.
                let item = |(index, item)| {
                    self.path.push(PathSegment::Index(index));
                    let data = self.value(Some(item), content);
                    self.path.pop();
                    data
                };
                items.into_iter().enumerate().map(item).collect::<Option<_>>().map(Data::List)
            }
            (Some(Value::Object(fields)), Content::Fields(shape)) => self.object(fields, shape),
            (Some(Value::Binary(text)), _) => Some(Data::Leaf(Leaf::Text(text))),
            (Some(scalar), _) => Some(Data::Scalar(scalar)),
        }
    }

    fn fail(&mut self, error: &ServerError) -> Option<Data> {
        let length = |segment: &PathSegment| match segment {
            PathSegment::Field(key) => key.len(),
            PathSegment::Index(_) => size_of::<usize>(),
        };
        self.bytes += cost::bytes_of_error(self.path.iter().map(length));
        // Beyond the limit the operation is refused.
        if self.bytes <= ERROR_BYTES {
            self.errors.push(ServerError { path: self.path.clone(), ..error.clone() });
        }
        None
    }
}
