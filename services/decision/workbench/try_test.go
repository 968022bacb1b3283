package workbench_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/workbench"
)

func TestTheScenariosOfABundleAreRunIfTheyAreAskedFor(t *testing.T) {
	t.Parallel()
	b := open(t, workbench.Config{FourEyes: true})
	check := func(edit func(fstest.MapFS), scenarios *operator.PolicyScenariosToRun) operator.PolicyCheck {
		t.Helper()
		body := operator.PolicyCheckReq{Bundle: request(t, revised(t, "tried", edit)).Bundle, Scenarios: scenarios}
		return must[operator.PolicyCheck](t)(b.CheckPolicy(t.Context(), service.ForOperator[operator.PolicyCheckReq]{Operator: ada, Body: body}))
	}
	shipped := &operator.PolicyScenariosToRun{Shipped: true}
	if told := check(nil, nil); told.Scenarios != nil {
		t.Errorf("nobody asked for scenarios: %+v", told.Scenarios)
	}
	good := check(nil, shipped).Scenarios
	if good == nil || good.Total < 100 || good.Passed != good.Total || len(good.Problems) > 0 || good.Results[0].Name == "" {
		t.Fatalf("of a good bundle: %+v", good)
	}
	bold := check(func(files fstest.MapFS) {
		policiestest.Edit(t, files, "append/append.rego", "input.client.privateMode == true", "false")
	}, shipped)
	if len(bold.Refused) > 0 {
		t.Fatalf("it is refused: %+v", bold.Refused)
	}
	first := bold.Scenarios.Results[0]
	if bold.Scenarios.Passed >= bold.Scenarios.Total || first.Passed || first.Difference == nil ||
		!strings.Contains(*first.Difference, "expected") {
		t.Errorf("%d of %d passed, the first is %+v", bold.Scenarios.Passed, bold.Scenarios.Total, first)
	}
	mine := []operator.ScenarioDraft{{File: "scenarios/mine.yaml", Text: "scenarios: [{title: x}]"}}
	broken := check(nil, &operator.PolicyScenariosToRun{Files: mine})
	if broken.Scenarios.Total != 0 || len(broken.Scenarios.Problems) == 0 || *broken.Scenarios.Problems[0].File != "scenarios/mine.yaml" {
		t.Errorf("of a file that cannot be read: %+v", broken.Scenarios)
	}
	listed := must[operator.PolicyRevisionList](t)(b.ListPolicies(t.Context(), service.ForOperator[service.Empty]{Operator: ada}))
	if !listed.FourEyes {
		t.Error("it is not told that a change takes four eyes")
	}
}
