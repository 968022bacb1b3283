package facts_test

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/facts/factstest"
)

func TestPasskeysCountByTheValuesThatARuleReadsOfEach(t *testing.T) {
	t.Parallel()
	models := facts.NewProjection([][]string{{"credentials", "items", facts.EachItem, "aaguid"}})
	rapid.Check(t, func(t *rapid.T) {
		a, b := factstest.Facts().Draw(t, "a"), factstest.Facts().Draw(t, "b")
		if a.AccountFacts == nil || b.AccountFacts == nil {
			return
		}
		one, other := a.Credentials.Items, b.Credentials.Items
		agree := len(one) == len(other)
		for i := 0; agree && i < len(one); i++ {
			agree = one[i].AAGUID == other[i].AAGUID
		}
		if same := bytes.Equal(models.Append(nil, a), models.Append(nil, b)); same != agree {
			t.Fatalf("%v and %v: same key %t", one, other, same)
		}
	})
}
