//! The schema as its SDL declares it, with the parts that every schema has: its types can be looked up by name.

use std::collections::HashMap;

use async_graphql::{
    Name, Pos, Positioned,
    parser::{
        parse_schema,
        types::{
            BaseType, DirectiveDefinition, FieldDefinition, OperationType, SchemaDefinition, Type, TypeDefinition,
            TypeKind, TypeSystemDefinition,
        },
    },
};

/// The introspection, the scalars and the directives that the specification defines.
const STANDARD: &str = include_str!("introspection.graphql");

/// The field that every object has.
pub(super) const TYPENAME: &str = "__typename";

/// The types and directives of a schema.
pub(super) struct Model {
    types: HashMap<Name, TypeDefinition>,
    directives: HashMap<Name, DirectiveDefinition>,
    roots: SchemaDefinition,
    /// The field that every object has.
    typename: FieldDefinition,
}

impl Model {
    /// The model of a schema.
    ///
    /// # Panics
    /// When it is not in the schema definition language.
    pub(super) fn of_sdl(sdl: &str) -> Self {
        let mut model = Self {
            types: HashMap::new(),
            directives: HashMap::new(),
            roots: SchemaDefinition {
                extend: false,
                directives: Vec::new(),
                query: None,
                mutation: None,
                subscription: None,
            },
            typename: typename(),
        };
        for text in [sdl, STANDARD] {
            let document = parse_schema(text).expect("the schema is written in SDL");
            document.definitions.into_iter().for_each(|definition| model.define(definition));
        }
        model
    }

    fn define(&mut self, definition: TypeSystemDefinition) {
        match definition {
            TypeSystemDefinition::Schema(definition) => self.roots = definition.node,
            TypeSystemDefinition::Directive(Positioned { node, .. }) => {
                self.directives.insert(node.name.node.clone(), node);
            }
            TypeSystemDefinition::Type(Positioned { node, .. }) => match self.types.get_mut(&node.name.node) {
                Some(known) if node.extend => extend(known, node),
                _ => {
                    self.types.insert(node.name.node.clone(), node);
                }
            },
        }
    }

    /// The type of this name.
    pub(super) fn named(&self, name: &str) -> Option<&TypeDefinition> {
        self.types.get(name)
    }

    /// The type that an operation selects from.
    pub(super) fn root(&self, operation: OperationType) -> Option<&TypeDefinition> {
        let name = match operation {
            OperationType::Query => &self.roots.query,
            OperationType::Mutation => &self.roots.mutation,
            OperationType::Subscription => &self.roots.subscription,
        };
        self.named(&name.as_ref()?.node)
    }

    /// The directive of this name.
    pub(super) fn directive(&self, name: &str) -> Option<&DirectiveDefinition> {
        self.directives.get(name)
    }

    /// The field of this name of a type.
    pub(super) fn field<'a>(&'a self, parent: &'a TypeDefinition, name: &str) -> Option<&'a FieldDefinition> {
        let mut fields = fields(parent).iter().map(|field| &field.node);
        if name == TYPENAME { Some(&self.typename) } else { fields.find(|field| field.name.node == name) }
    }
}

/// The types of the introspection.
pub(super) fn standard_types() -> impl Iterator<Item = TypeDefinition> {
    let document = parse_schema(STANDARD).expect("the introspection is written in SDL");
    document.definitions.into_iter().filter_map(|definition| match definition {
        TypeSystemDefinition::Type(definition) if !definition.node.extend => Some(definition.node),
        _ => None,
    })
}

/// The fields of a type; none, unless it is an object.
pub(super) fn fields(definition: &TypeDefinition) -> &[Positioned<FieldDefinition>] {
    match &definition.kind {
        TypeKind::Object(object) => &object.fields,
        _ => &[],
    }
}

/// The name of a type, or of that of its items.
pub(super) fn name_of(kind: &Type) -> &Name {
    match &kind.base {
        BaseType::Named(name) => name,
        BaseType::List(items) => name_of(items),
    }
}

/// Adds the fields of an extension.
fn extend(known: &mut TypeDefinition, extension: TypeDefinition) {
    if let (TypeKind::Object(known), TypeKind::Object(extension)) = (&mut known.kind, extension.kind) {
        known.fields.extend(extension.fields);
    }
}

fn typename() -> FieldDefinition {
    let kind = Type { base: BaseType::Named(Name::new("String")), nullable: false };
    FieldDefinition {
        description: None,
        name: Positioned::new(Name::new(TYPENAME), Pos::default()),
        arguments: Vec::new(),
        ty: Positioned::new(kind, Pos::default()),
        directives: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphql::schema::sdl;

    /// Validation has no rules for interfaces, unions, input objects and repeatable directives, and a plan takes it that no
    /// argument may be null.
    #[test]
    fn the_schema_has_what_there_are_rules_for() {
        // The library's parser takes every directive for repeatable.
        assert!(!sdl().contains("repeatable") && !STANDARD.contains("repeatable"));
        let model = Model::of_sdl(&sdl());
        assert!(model.types.len() > 10, "{} types", model.types.len());
        for definition in model.types.values() {
            let kind = &definition.kind;
            assert!(matches!(kind, TypeKind::Object(_) | TypeKind::Scalar | TypeKind::Enum(_)), "{kind:?}");
            let arguments = fields(definition).iter().flat_map(|field| &field.node.arguments);
            arguments.for_each(|argument| assert!(!argument.node.ty.node.nullable, "{argument:?}"));
        }
    }
}
