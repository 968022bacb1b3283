package scenario

import (
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/keyward/keyward/api/rest"
)

// client reads a clientInformation document, with the keys of the wire.
func (r *reader) client(n *yaml.Node) rest.ClientInformation {
	var info rest.ClientInformation
	r.fill(n, "client", reflect.ValueOf(&info).Elem())
	return info
}

// flags reads passkeyIntelFlags.
func (r *reader) flags(n *yaml.Node) rest.PasskeyIntelFlags {
	var flags rest.PasskeyIntelFlags
	r.fill(n, "flags", reflect.ValueOf(&flags).Elem())
	return flags
}

// fill reads a node into a type of the wire by the names in its JSON tags.
func (r *reader) fill(n *yaml.Node, what string, into reflect.Value) {
	switch into.Kind() {
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		r.fill(n, what, into.Elem())
	case reflect.Struct:
		fields := jsonFields(into.Type())
		names := make([]string, 0, len(fields))
		for i := range into.NumField() {
			names = append(names, jsonName(into.Type().Field(i)))
		}
		for name, value := range r.object(n, what, names) {
			r.fill(value, what+"."+name, into.Field(fields[name]))
		}
	case reflect.String:
		into.SetString(r.text(n, what))
		if word, ok := into.Interface().(interface{ Valid() bool }); ok && into.String() != "" && !word.Valid() {
			r.refuse(n, "unknown %s %q", what, into.String())
		}
	case reflect.Bool:
		into.SetBool(r.boolean(n, what))
	case reflect.Int64, reflect.Int32, reflect.Int:
		into.SetInt(r.integer(n, what))
	default:
		panic("scenario: the wire has a type that fill does not know: " + into.Type().String())
	}
}

func jsonFields(t reflect.Type) map[string]int {
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
