//! Declared types in the library's form: it registers them, for the schema and its introspection, and resolves the events
//! of subscriptions.

use std::{any::type_name, borrow::Cow, sync::Arc};

use async_graphql::{
    CacheControl, ContainerType, Context, ContextSelectionSet, ObjectType, OutputType, Positioned, ServerResult, Value,
    parser::types::Field,
    registry::{Deprecation, MetaField, MetaInputValue, MetaType, MetaTypeId, Registry},
    resolver_utils::resolve_container,
};

use super::{
    code::Fault,
    declaration::{Argument, Arguments, Declaration, Leaf, Object},
};
use crate::evaluator::Evaluator;

/// An object of a declared type.
pub(super) struct Declared<T>(pub(super) T);

impl<T: Object> OutputType for Declared<T> {
    fn type_name() -> Cow<'static, str> {
        T::NAME.into()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        let fields = || T::FIELDS.iter().map(|field| &field.declaration);
        registry.create_output_type::<Self, _>(MetaTypeId::Object, |_| {
            object_type::<Self>(T::NAME, T::DESCRIPTION, fields())
        })
    }

    async fn resolve(&self, context: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
        resolve_container(context, self).await
    }
}

impl<T: Object> ContainerType for Declared<T> {
    async fn resolve_field(&self, context: &Context<'_>) -> ServerResult<Option<Value>> {
        let Some(field) = T::field(&context.item.node.name.node) else { return Ok(None) };
        let arguments = &context.item.node.arguments;
        let arguments: Arguments = arguments
            .iter()
            .filter_map(|(name, value)| Some((name, Positioned::new(value.node.clone().into_const()?, value.pos))))
            .collect();
        let leaf = async {
            let evaluator = context.data_unchecked::<Arc<Evaluator>>();
            Ok(field.value(&self.0, field.digits(&arguments)?, evaluator).await?)
        };
        let leaf = leaf
            .await
            .map_err(|fault: Fault| context.set_error_path(fault.into_error().into_server_error(context.item.pos)))?;
        Ok(Some(leaf.into()))
    }
}

impl<T: Object> ObjectType for Declared<T> {}

impl From<Leaf> for Value {
    fn from(leaf: Leaf) -> Self {
        match leaf {
            Leaf::Integer(value) => value.into(),
            Leaf::Float(value) => value.into(),
            Leaf::Boolean(value) => value.into(),
            Leaf::Text(text) => Self::Binary(text),
        }
    }
}

/// A type of objects with these fields, as the registry has it.
pub(super) fn object_type<'a, T>(
    name: &str,
    description: &str,
    fields: impl Iterator<Item = &'a Declaration>,
) -> MetaType {
    MetaType::Object {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        fields: fields.map(|declaration| (declaration.name.to_owned(), field(declaration))).collect(),
        cache_control: CacheControl::default(),
        extends: false,
        shareable: false,
        resolvable: true,
        keys: None,
        visible: None,
        inaccessible: false,
        interface_object: false,
        tags: Vec::new(),
        is_subscription: false,
        rust_typename: Some(type_name::<T>()),
        directive_invocations: Vec::new(),
        requires_scopes: Vec::new(),
    }
}

fn field(Declaration { name, description, kind, arguments }: &Declaration) -> MetaField {
    MetaField {
        name: (*name).to_owned(),
        description: Some((*description).to_owned()),
        args: arguments.iter().map(|argument| (argument.name.to_owned(), input_value(argument))).collect(),
        ty: (*kind).to_owned(),
        deprecation: Deprecation::NoDeprecated,
        cache_control: CacheControl::default(),
        external: false,
        requires: None,
        provides: None,
        visible: None,
        shareable: false,
        inaccessible: false,
        tags: Vec::new(),
        override_from: None,
        compute_complexity: None,
        directive_invocations: Vec::new(),
        requires_scopes: Vec::new(),
    }
}

fn input_value(Argument { name, description, default }: &Argument) -> MetaInputValue {
    MetaInputValue {
        name: (*name).to_owned(),
        description: Some((*description).to_owned()),
        ty: "Int!".to_owned(),
        deprecation: Deprecation::NoDeprecated,
        default_value: default.map(|value| value.to_string()),
        visible: None,
        inaccessible: false,
        tags: Vec::new(),
        is_secret: false,
        directive_invocations: Vec::new(),
    }
}
