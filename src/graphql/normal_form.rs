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

/// The keys of an object in the order of the document, each with those below. (The library leaves out fields that are null.)
#[derive(Clone, Debug, Default)]
pub(super) struct Shape(pub(super) Vec<(Name, Shape)>);

/// Brings selections to their normal form.
pub(super) struct Normalization<'a, 'b> {
    pub(super) model: &'a Model,
    pub(super) reader: &'b mut Reader<'a>,
    /// The errors of fields that have no argument to run with: they are null in the answer, and not in its normal form.
    pub(super) errors: &'b mut Vec<ServerError>,
}

impl<'a> Normalization<'a, '_> {
    /// The normal form of fields of one key, which are of a type; the reader is there.
    ///
    /// # Errors
    /// When they can't be answered.
    pub(super) fn field(
        &mut self,
        same: &[&'a Positioned<Field>],
        kind: Option<&'a Type>,
    ) -> Result<(Positioned<Selection>, Shape), ServerError> {
        let arguments = self.reader.arguments(&same[0].node).collect::<Result<_, _>>()?;
        let sets = below(same);
        let below = kind.and_then(|kind| self.model.named(name_of(kind)));
        let (selections, shape) =
            if sets[0].items.is_empty() { Default::default() } else { self.object(&sets, below)? };
        Ok((field(same[0], arguments, selections), shape))
    }

    /// The normal form of all selections of these sets, for one object of a type.
    ///
    /// # Errors
    /// When the object can't be answered, because a field of it that is never null can't.
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
            let (model, errors) = (self.model, &mut *self.errors);
            let normal = self.reader.at(key, |reader| Normalization { model, reader, errors }.field(&same, kind));
            let shape = match normal {
                Ok((field, shape)) => {
                    if !parent.is_some_and(|parent| introspection::is_null(&parent.name.node, name)) {
                        items.push(field);
                    }
                    shape
                }
                Err(error) if kind.is_none_or(|kind| kind.nullable) => {
                    self.errors.push(error);
                    Shape::default()
                }
                Err(error) => return Err(error),
            };
            keys.push((key.clone(), shape));
        }
        if items.is_empty() {
            // An object of which nothing is left is an object still, which the library would take for null.
            items.push(field(&typename(), Vec::new(), SelectionSet::default()));
        }
        Ok((SelectionSet { items }, Shape(keys)))
    }
}

fn typename() -> Positioned<Field> {
    let name = Positioned::new(Name::new(TYPENAME), Pos::default());
    let (arguments, directives, selection_set) = Default::default();
    Positioned::new(Field { alias: None, name, arguments, directives, selection_set }, Pos::default())
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
