//! The normal form of what the library executes: each field once, in the order in which fields are first met, with
//! neither fragments nor directives nor variables.

use async_graphql::{
    Name, Pos, Positioned, ServerError,
    parser::types::{Field, Selection, SelectionSet, Type, TypeDefinition},
};

use super::{
    introspection,
    model::{Model, TYPENAME, name_of},
    reader::{Argument, Reader},
    selections::below,
};

/// The keys of an object in the order of the document, each with what is below. (The library leaves out fields that are null.)
#[derive(Clone, Debug, Default)]
pub(super) struct Shape(pub(super) Vec<(Name, Below)>);

/// The shape of the response below a key.
#[derive(Clone, Debug)]
pub(super) struct Below {
    pub(super) is_nullable: bool,
    pub(super) content: Content,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    /// The fields of its objects; none if it has no objects.
    Fields(Shape),
    /// An argument of it is null, so that it fails.
    Argument(ServerError),
    /// Its selections depend on a condition that is neither true nor false: it fails if it has an object.
    Selections(ServerError),
}

impl Below {
    /// The first error that can come of it.
    pub(super) fn error(&self) -> Option<&ServerError> {
        match &self.content {
            Content::Fields(Shape(keys)) => keys.iter().find_map(|(_, below)| below.error()),
            Content::Argument(error) | Content::Selections(error) => Some(error),
        }
    }
}

/// Brings selections to their normal form.
pub(super) struct Normalization<'a, 'b> {
    pub(super) model: &'a Model,
    pub(super) reader: &'b mut Reader<'a>,
}

impl<'a> Normalization<'a, '_> {
    /// The normal form of fields of one key, which are of a type, unless they fail in any case; the reader is there.
    pub(super) fn field(
        &mut self,
        same: &[&'a Positioned<Field>],
        kind: Option<&'a Type>,
    ) -> (Option<Positioned<Selection>>, Below) {
        let is_nullable = kind.is_none_or(|kind| kind.nullable);
        let arguments = match self.reader.arguments(&same[0].node).collect::<Result<_, _>>() {
            Ok(arguments) => arguments,
            Err(error) => return (None, Below { is_nullable, content: Content::Argument(error) }),
        };
        let sets = below(same);
        let below = kind.and_then(|kind| self.model.named(name_of(kind)));
        let object = if sets[0].items.is_empty() { Ok(Default::default()) } else { self.object(&sets, below) };
        let (selections, content) = match object {
            Ok((selections, shape)) => (selections, Content::Fields(shape)),
            Err(error) => (SelectionSet { items: vec![typename()] }, Content::Selections(error)),
        };
        (Some(field(same[0], arguments, selections)), Below { is_nullable, content })
    }

    /// The normal form of all selections of these sets, for one object of a type.
    ///
    /// # Errors
    /// When a condition of them is neither true nor false.
    fn object(
        &mut self,
        sets: &[&'a SelectionSet],
        parent: Option<&'a TypeDefinition>,
    ) -> Result<(SelectionSet, Shape), ServerError> {
        let fields = self.reader.fields(sets)?;
        let (mut items, mut keys) = (Vec::with_capacity(fields.len()), Vec::with_capacity(fields.len()));
        for (key, same) in fields {
            let name = &same[0].node.name.node;
            let definition = parent.and_then(|parent| self.model.field(parent, name));
            let kind = definition.map(|definition| &definition.ty.node);
            let model = self.model;
            let (field, below) = self.reader.at(key, |reader| Normalization { model, reader }.field(&same, kind));
            if !parent.is_some_and(|parent| introspection::is_null(&parent.name.node, name)) {
                items.extend(field);
            }
            keys.push((key.clone(), below));
        }
        if items.is_empty() {
            // An object of which nothing is left is an object still, which the library would take for null.
            items.push(typename());
        }
        Ok((SelectionSet { items }, Shape(keys)))
    }
}

fn typename() -> Positioned<Selection> {
    let name = Positioned::new(Name::new(TYPENAME), Pos::default());
    let (arguments, directives, selection_set) = Default::default();
    let name = Positioned::new(Field { alias: None, name, arguments, directives, selection_set }, Pos::default());
    field(&name, Vec::new(), SelectionSet::default())
}

/// A field with these arguments, and with these below.
fn field(from: &Positioned<Field>, arguments: Vec<Argument>, below: SelectionSet) -> Positioned<Selection> {
    let Field { alias, name, selection_set, .. } = &from.node;
    let normal = Field {
        alias: alias.clone(),
        name: name.clone(),
        arguments: arguments
            .into_iter()
            .map(|(name, Positioned { node, pos })| (name.clone(), Positioned::new(node.into_value(), pos)))
            .collect(),
        directives: Vec::new(),
        selection_set: Positioned::new(below, selection_set.pos),
    };
    Positioned::new(Selection::Field(Positioned::new(normal, from.pos)), from.pos)
}
