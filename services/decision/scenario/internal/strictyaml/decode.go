package strictyaml

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Decode reads a node into the value that into points to, a struct of text, numbers, truth values and structs, with the keys that it has
// in JSON. Fields of another kind panic: they are the programmer's mistake. Text of a type with a Valid method has to be valid or empty.
func (r *Reader) Decode(n *yaml.Node, what string, into any) {
	r.fill(n, what, reflect.ValueOf(into).Elem())
}

func (r *Reader) fill(n *yaml.Node, what string, into reflect.Value) {
	switch into.Kind() {
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		r.fill(n, what, into.Elem())
	case reflect.Struct:
		fields := JSONFields(into.Type())
		names := make([]string, 0, len(fields))
		for i := range into.NumField() {
			names = append(names, jsonName(into.Type().Field(i)))
		}
		for name, value := range r.Object(n, what, names) {
			r.fill(value, what+"."+name, into.Field(fields[name]))
		}
	case reflect.String:
		into.SetString(r.Text(n, what))
		if word, ok := into.Interface().(interface{ Valid() bool }); ok && into.String() != "" && !word.Valid() {
			r.Refuse(n, "unknown %s %q", what, into.String())
		}
	case reflect.Bool:
		into.SetBool(r.Boolean(n, what))
	case reflect.Int64, reflect.Int32, reflect.Int:
		into.SetInt(r.Integer(n, what))
	case reflect.Float32, reflect.Float64:
		into.SetFloat(r.Number(n, what))
	default:
		panic("strictyaml: a field is of a type that cannot be written: " + into.Type().String())
	}
}

// JSONFields returns the places of a struct's fields by the names in their JSON tags.
func JSONFields(t reflect.Type) map[string]int {
	fields := make(map[string]int, t.NumField())
	for i := range t.NumField() {
		fields[jsonName(t.Field(i))] = i
	}
	return fields
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// JSON reads a node as a JSON document; nil if there is none.
func (r *Reader) JSON(n *yaml.Node, what string) json.RawMessage {
	if n == nil {
		return nil
	}
	var value any
	err := n.Decode(&value)
	raw, unwritten := json.Marshal(value)
	if err = errors.Join(err, unwritten); err != nil {
		r.Refuse(n, "%s: %v", what, err)
	}
	return raw
}
