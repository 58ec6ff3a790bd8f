//! A deserializer that takes a JSON value at its word: where an object belongs, an array is an error.
//!
//! serde's derived types also take their fields in order from an array, which serves formats without keys. In JSON it
//! would let `"machine": []` pass.

use serde::de::value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, Error as _, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Error, Map, Value};

/// A value to deserialize from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strict<'de>(pub &'de Value);

impl<'de> IntoDeserializer<'de, Error> for Strict<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

fn members(object: &Map<String, Value>) -> impl Iterator<Item = (&str, Strict<'_>)> {
    object.iter().map(|(key, value)| (key.as_str(), Strict(value)))
}

impl<'de> Deserializer<'de> for Strict<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(array) => {
                let mut elements = SeqDeserializer::new(array.iter().map(Strict));
                let value = visitor.visit_seq(&mut elements)?;
                elements.end()?;
                Ok(value)
            }
            Value::Object(object) => visitor.visit_map(MapDeserializer::new(members(object))),
            scalar => scalar.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(_) => Err(Error::invalid_type(Unexpected::Seq, &visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Value::Object(object) if object.len() == 1 => {
                visitor.visit_enum(MapAccessDeserializer::new(MapDeserializer::new(members(object))))
            }
            other => other.deserialize_enum(name, variants, visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[serde(default)]
        number: Option<u32>,
        #[serde(default)]
        list: Vec<Inner>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    enum Choice {
        Unit,
        Newtype(u32),
        Tuple(u32, u32),
        Struct { inner: Inner },
        Empty {},
    }

    fn strict<'de, T: Deserialize<'de>>(value: &'de Value) -> Result<T, String> {
        T::deserialize(Strict(value)).map_err(|error| error.to_string())
    }

    #[test]
    fn values_mean_what_serde_json_says() {
        for value in [
            json!({"number": 1, "list": [{"number": null}, {}]}),
            json!({"number": -1}),
            json!({"number": 4294967296u64}),
            json!({"list": {}}),
            json!({"other": 1}),
            json!("text"),
            json!(null),
        ] {
            assert_eq!(strict::<Inner>(&value), Inner::deserialize(&value).map_err(|error| error.to_string()));
        }
        for value in [
            json!("Unit"),
            json!({"Newtype": 5}),
            json!({"Tuple": [1, 2]}),
            json!({"Tuple": [1, 2, 3]}),
            json!({"Tuple": [1]}),
            json!({"Struct": {"inner": {"number": 7}}}),
            json!({"Empty": {}}),
            json!("Newtype"),
            json!("Other"),
            json!({"Other": 1}),
            json!({"Newtype": 1, "Unit": null}),
            json!({}),
            json!(3),
        ] {
            let expected = Choice::deserialize(&value);
            let found = strict::<Choice>(&value);
            assert_eq!(found.is_ok(), expected.is_ok(), "{value}: {found:?} {expected:?}");
            if let Ok(expected) = expected {
                assert_eq!(found, Ok(expected));
            }
        }
        let map = json!({"a": 1, "b": 2});
        assert_eq!(strict::<BTreeMap<String, u64>>(&map).unwrap().len(), 2);
    }

    #[test]
    fn arrays_are_no_objects() {
        assert!(Inner::deserialize(&json!([1, []])).is_ok(), "serde_json itself takes it");
        assert_eq!(strict::<Inner>(&json!([1, []])), Err("invalid type: sequence, expected struct Inner".to_owned()));
        assert!(strict::<Inner>(&json!({"list": [[]]})).is_err());
        assert!(strict::<Choice>(&json!({"Struct": {"inner": []}})).is_err());
        assert!(strict::<Choice>(&json!({"Struct": [{}]})).is_err());
    }
}
