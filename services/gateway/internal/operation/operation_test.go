package operation

import (
	"bytes"
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"

	"github.com/keyward/keyward/api"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/gateway/internal/contract"
)

// services are enough to make the tables. Nothing of theirs can be called.
func services() Services {
	nobody := func(*fiber.Ctx) error { return nil }
	return Services{
		Ceremony: struct{ service.Ceremony }{}, Events: struct{ service.Events }{}, Webhooks: struct{ service.Webhooks }{},
		Keys: nobody, Stream: nobody, WellKnown: func(func(project.Project) any) fiber.Handler { return nobody },
	}
}

func parse(t *testing.T, document []byte) *contract.Document {
	t.Helper()
	parsed, err := contract.Parse(document)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestTheTableHasTheOperationsOfTheDocuments(t *testing.T) {
	t.Parallel()
	if _, err := Join(parse(t, api.OpenAPI), Backend(services())); err != nil {
		t.Error("Backend API:", err)
	}
	if _, err := Join(parse(t, api.Frontend), Frontend(services())); err != nil {
		t.Error("Frontend API:", err)
	}
}

// slow are the operations whose bodies hold objects with names that callers choose. They are rare, so each body is checked in full.
var slow = []string{"createChallenge", "createWebhookEndpoint", "updateWebhookEndpoint"}

func TestEveryBodyIsCheckedWhileItIsRead(t *testing.T) {
	t.Parallel()
	backend, err := Join(parse(t, api.OpenAPI), Backend(services()))
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range backend {
		if op.decoder != nil && op.decoder.OnePass() == slices.Contains(slow, op.ID) {
			t.Errorf("operation %s: its schema uses a keyword that shapes do not know, or its type does not follow its schema", op.ID)
		}
	}
}

const newOperation = `
  /v2/gadgets/{gadgetID}:
    servers: [{ url: / }]
    get:
      operationId: getGadget
      x-permission: gadgets.read
      parameters: [{ name: gadgetID, in: path, required: true, schema: { type: string } }]
      responses: { '200': { description: A gadget. } }
`

func getGadget(context.Context, service.ForProject[string]) (service.Empty, error) {
	return service.Empty{}, nil
}

func createGadget(context.Context, service.ForProject[rest.UserCreateReq]) (service.Empty, error) {
	return service.Empty{}, nil
}

func getGadgetOfUser(context.Context, service.ForUser[string]) (service.Empty, error) {
	return service.Empty{}, nil
}

func listGadgets(context.Context, service.ForProject[service.Empty]) (service.Empty, error) {
	return service.Empty{}, nil
}

func sortedGadgets(context.Context, service.ForProject[service.List]) (service.Empty, error) {
	return service.Empty{}, nil
}

func idAndList() Form[service.List] {
	read := List()
	read.own = true
	return read
}

// TestWhatDiffersIsNamed forgets, on each side of the table, what somebody who adds an operation may forget.
func TestWhatDiffersIsNamed(t *testing.T) {
	t.Parallel()
	document := parse(t, api.OpenAPI)
	more := parse(t, bytes.Replace(api.OpenAPI, []byte("\npaths:\n"), []byte("\npaths:"+newOperation), 1))
	rows := Backend(services())
	without := func(id string) []Row {
		return slices.DeleteFunc(slices.Clone(rows), func(r Row) bool { return r.ID == id })
	}
	for name, tc := range map[string]struct {
		document *contract.Document
		rows     []Row
		want     string
	}{
		"a forgotten row":                          {document, without("listUsers"), "operation listUsers (GET /v2/users) has no row"},
		"an operation that is new in the document": {more, rows, "operation getGadget (GET /v2/gadgets/{gadgetID}) has no row"},
		"a row that is new in the table": {
			document, append(without(""), ofProject("getGadget", getGadget, ID)), "operation getGadget has a row",
		},
		"a row that is there twice": {document, append(without(""), rows[0]), "operation " + rows[0].ID + " has two rows"},
		"a body that the row does not read": {document, append(without("createUser"), ofProject("createUser", listGadgets, Nothing)),
			"operation createUser (POST /v2/users): its row does not read the body"},
		"a body that the document lacks": {document, append(without("listUsers"), ofProject("listUsers", createGadget, Body)),
			"operation listUsers (GET /v2/users): its row reads a body, rest.UserCreateReq"},
		"a path parameter that the row does not read": {more, append(without(""), ofProject("getGadget", listGadgets, Nothing)),
			"operation getGadget (GET /v2/gadgets/{gadgetID}): its row does not read the path parameter gadgetID"},
		"a path parameter that the document lacks": {more, append(without(""), ofUser("getGadget", getGadgetOfUser, ID)),
			"operation getGadget (GET /v2/gadgets/{gadgetID}): its row reads the path parameter userID, which the document lacks"},
		"one path parameter too many": {document, append(without("listUsers"), ofProject("listUsers", getGadget, ID)),
			"operation listUsers (GET /v2/users): its row reads one path parameter more"},
		"query parameters that the row does not read": {document, append(without("listUsers"), ofProject("listUsers", listGadgets, Nothing)),
			"operation listUsers (GET /v2/users): its row does not read the query parameter sort"},
		"query parameters that the document lacks": {more, append(without(""), ofProject("getGadget", sortedGadgets, idAndList)),
			"operation getGadget (GET /v2/gadgets/{gadgetID}): its row reads the query parameter sort, which the document lacks"},
	} {
		if _, err := Join(tc.document, tc.rows); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Join(more, append(without(""), ofProject("getGadget", getGadget, ID))); err != nil {
		t.Errorf("the same operation in both: %v", err)
	}
}

func TestTheTypeOfABodyFollowsFromTheMethod(t *testing.T) {
	t.Parallel()
	if row := ofProject("createUser", createGadget, Body); row.body != reflect.TypeFor[rest.UserCreateReq]() {
		t.Errorf("it is %v", row.body)
	}
}
