package api_test

import (
	"fmt"
	"testing"

	"go.yaml.in/yaml/v3"
)

// Whoever sends what a pattern does not take is told what it takes, in words.
func TestEachPatternOfARequestSaysInWordsWhatItTakes(t *testing.T) {
	t.Parallel()
	for _, document := range []string{"openapi.yaml", "frontend.yaml", "operator.yaml"} {
		var content any
		if err := yaml.Unmarshal(read(t, document), &content); err != nil {
			t.Fatal(err)
		}
		var look func(at string, value any) int
		look = func(at string, value any) (patterns int) {
			switch v := value.(type) {
			case map[string]any:
				if pattern, is := v["pattern"].(string); is {
					patterns++
					if v["x-message"] == nil {
						t.Errorf("%s%s: the pattern %s has no x-message", document, at, pattern)
					}
				}
				for name, below := range v {
					patterns += look(at+"/"+name, below)
				}
			case []any:
				for i, below := range v {
					patterns += look(fmt.Sprint(at, "/", i), below)
				}
			}
			return patterns
		}
		if look("", content) == 0 && document != "frontend.yaml" {
			t.Errorf("%s has no pattern", document)
		}
	}
}
