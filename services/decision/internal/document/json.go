package document

import (
	"encoding/json"
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
)

// AppendJSON appends a policy's document as encoding/json would write it. Sets become arrays, as OPA's own server has them. Keys that are
// no strings, and values that JSON has no form for, are errors.
func AppendJSON(to []byte, value ast.Value) ([]byte, error) {
	switch v := value.(type) {
	case ast.Null:
		return append(to, "null"...), nil
	case ast.Boolean:
		if v {
			return append(to, "true"...), nil
		}
		return append(to, "false"...), nil
	case ast.Number:
		return append(to, v...), nil
	case ast.String:
		return appendText(to, string(v))
	case *ast.Array:
		return appendList(to, v.Len(), v.Foreach)
	case ast.Set:
		return appendList(to, v.Len(), v.Foreach)
	case ast.Object:
		return appendObject(to, v)
	default:
		return nil, fmt.Errorf("a %s has no form in JSON", ast.ValueName(value))
	}
}

func appendList(to []byte, length int, each func(func(*ast.Term))) ([]byte, error) {
	if length == 0 {
		return append(to, "[]"...), nil
	}
	separator := byte('[')
	var failure error
	each(func(element *ast.Term) {
		if failure == nil {
			to, failure = AppendJSON(append(to, separator), element.Value)
		}
		separator = ','
	})
	return append(to, ']'), failure
}

func appendObject(to []byte, object ast.Object) ([]byte, error) {
	if object.Len() == 0 {
		return append(to, "{}"...), nil
	}
	separator := byte('{')
	err := object.Iter(func(key, value *ast.Term) error {
		name, ok := key.Value.(ast.String)
		if !ok {
			return fmt.Errorf("the key %s is not a string", key)
		}
		var err error
		if to, err = appendText(append(to, separator), string(name)); err != nil {
			return err
		}
		to, err = AppendJSON(append(to, ':'), value.Value)
		separator = ','
		return err
	})
	return append(to, '}'), err
}

func appendText(to []byte, text string) ([]byte, error) {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, err := json.Marshal(text)
			return append(to, quoted...), err
		}
	}
	to = append(to, '"')
	to = append(to, text...)
	return append(to, '"'), nil
}
