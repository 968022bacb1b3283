package operation

import (
	"errors"
	"math"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
	"github.com/gofiber/fiber/v2"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/operator"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/gateway/internal/contract"
)

// Exchange is what admission knows of a request.
type Exchange interface {
	// Caller is the project that calls, or is visited.
	Caller() ident.ProjectID
	// Visitor is who calls the Frontend API.
	Visitor() service.Visit
	// Operator is who calls the Operator API.
	Operator() operator.Operator
	// Tell puts into the header what an answer has beside its body. cookies may be nil.
	Tell(decided service.Decided, cookies *service.Cookies)
	// Judge puts into the header how the request was judged beside what it asked for, and reports whether the caller may know.
	Judge(*service.Risk) bool
	// Done is the body of answers that have nothing to tell.
	Done() rest.GenericRsp
}

// Request is one request that has been admitted: it fits the document, but for its body, which nobody has read yet.
type Request struct {
	fiber    *fiber.Ctx
	exchange Exchange
	joined   *Joined
}

// Path returns a path parameter. That it can be read has been checked.
func (r *Request) Path(name string) string {
	value, _ := url.PathUnescape(r.fiber.Params(name))
	return value
}

// Query returns the query. That it can be read has been checked.
func (r *Request) Query() url.Values {
	values, _ := contract.Query(string(r.fiber.Request().URI().QueryString()))
	return values
}

// Exchange is what admission knows of it.
func (r *Request) Exchange() Exchange { return r.exchange }

// Fiber is where an answer is written that is no JSON.
func (r *Request) Fiber() *fiber.Ctx { return r.fiber }

// Names are those of its path parameters.
func (r *Request) Names() []string { return r.joined.PathParameters() }

// decode reads the body and holds it to the contract.
func (r *Request) decode(into any) error {
	err := r.joined.decoder.Decode(r.fiber.Request().Body(), into) // not a copy; nothing of it is kept
	var misfit *contract.Misfit
	switch {
	case err == nil:
		return nil
	case errors.As(err, &misfit):
		return Refusal(misfit.Found, misfit.Broken)
	default:
		return fault.Field("body", "cannot be read").Because(err)
	}
}

// Refusal is the fault of a request in which the contract found something wrong, or whose body is no JSON at all. It is nil if nothing is
// wrong.
func Refusal(found []fault.FieldError, err error) error {
	var broken *contract.NotJSON
	switch {
	case errors.As(err, &broken):
		f := &fault.Fault{Type: fault.TypeInvalidJSON, Status: http.StatusBadRequest, Details: broken.Reason, Validation: found}
		if broken.Field != "" {
			f.Validation = append(f.Validation, fault.FieldError{Field: broken.Field, Message: broken.Reason})
		}
		return f
	case len(found) > 0:
		return fault.Fields(found...)
	default:
		return nil
	}
}

// What answers of services may have beside their bodies.
type (
	judged interface {
		Inner() any
		Why() service.Decided
	}
	answered interface {
		judged
		Session() *service.Cookies
	}
	doubted interface {
		Judgement() *service.Risk
	}
)

// write answers with what a method returned; out points to it.
func (r *Request) write(out any) error {
	if told, ok := out.(doubted); ok && told.Judgement() != nil && r.exchange.Judge(told.Judgement()) {
		r.includeRisk(out)
	}
	switch told := out.(type) {
	case answered:
		r.exchange.Tell(told.Why(), told.Session())
		out = told.Inner()
	case judged:
		r.exchange.Tell(told.Why(), nil)
		out = told.Inner()
	}
	if _, empty := out.(*service.Empty); !empty {
		return r.writeJSON(out)
	}
	if r.joined.NoContent {
		r.fiber.Status(http.StatusNoContent)
		return nil
	}
	return r.writeJSON(r.exchange.Done())
}

// includeRisk puts into a body how the request was judged, if the caller asks for that: strict clients throw on members that they do
// not know.
func (r *Request) includeRisk(out any) {
	if len(r.fiber.Request().URI().QueryString()) == 0 || r.Query().Get(include) != string(rest.PasskeyLoginStartParamsIncludeRisk) {
		return
	}
	switch told := out.(type) {
	case *service.Judged[rest.PasskeyLoginStartRsp]:
		told.Body.Risk = risk(told.Decision, told.Risk)
	case *service.Judged[rest.PasskeyAppendStartRsp]:
		told.Body.Risk = risk(told.Decision, told.Risk)
	case *service.Judged[rest.PasskeyMediationStartRsp]:
		told.Body.Risk = risk(told.Decision, told.Risk)
	case *service.Finished[rest.PasskeyLoginFinishRsp]:
		told.Body.Risk = risk(told.Decision, told.Risk)
	case *service.Finished[rest.PasskeyAppendFinishRsp]:
		told.Body.Risk = risk(told.Decision, told.Risk)
	case *service.Finished[rest.PasskeyMediationFinishRsp]:
		told.Body.Risk = risk(told.Decision, told.Risk)
	}
}

// RiskOf returns how what a fault ends was judged, if the caller asks for that.
func RiskOf(query []byte, judged *service.Judged[service.Empty]) *rest.Risk {
	values, err := contract.Query(string(query))
	if err != nil || values.Get(include) != string(rest.PasskeyLoginStartParamsIncludeRisk) {
		return nil
	}
	return risk(judged.Decision, judged.Risk)
}

func risk(decision ident.DecisionID, r *service.Risk) *rest.Risk {
	told := &rest.Risk{
		DecisionID: string(decision), Action: rest.RiskAction(r.Action), Level: rest.RiskLevel(r.Level), Enforced: r.Enforced,
		Reasons: make([]rest.RiskReason, len(r.Reasons)), StepUp: stepUp(r),
		Obligations: &rest.RiskObligations{
			NotifyUser: r.Obligations.NotifyUser, MaxSessionSeconds: int32(min(r.Obligations.MaxSessionSeconds, math.MaxInt32)),
		},
	}
	if r.Obligations.UserVerification != "" {
		told.Obligations.UserVerification = new(rest.RiskObligationsUserVerification(r.Obligations.UserVerification))
	}
	if !r.NextEligibleAt.IsZero() {
		told.NextEligibleAt = new(r.NextEligibleAt.UTC().Format(time.RFC3339))
	}
	for i, reason := range r.Reasons {
		told.Reasons[i] = rest.RiskReason{Code: reason.Code, Severity: reason.Severity, Title: reason.Title}
	}
	return told
}

func (r *Request) writeJSON(value any) error {
	body, err := Encode(value)
	if err != nil {
		return err
	}
	r.fiber.Response().SetBodyRaw(body)
	r.fiber.Response().Header.SetContentType(fiber.MIMEApplicationJSON)
	return nil
}

// Encode writes nil slices as [], since strict clients take no null for an array. Optional fields that are set are written even if they
// are empty. What is answered most is written without reflection, to the same effect.
func Encode(value any) ([]byte, error) {
	const usual = 3072 // bytes
	switch told := value.(type) {
	case *rest.PasskeyLoginStartRsp:
		return told.AppendJSON(make([]byte, 0, usual)), nil
	case *rest.PasskeyLoginFinishRsp:
		return told.AppendJSON(make([]byte, 0, usual)), nil
	case *rest.PasskeyAppendStartRsp:
		return told.AppendJSON(make([]byte, 0, usual)), nil
	case *rest.PasskeyAppendFinishRsp:
		return told.AppendJSON(make([]byte, 0, usual)), nil
	}
	return reflected(value)
}

func reflected(value any) ([]byte, error) {
	return json.Marshal(value, jsontext.AllowInvalidUTF8(true), jsonv1.OmitEmptyWithLegacySemantics(true))
}

// Form is how a request becomes what a method takes.
type Form[T any] struct {
	body  reflect.Type // that the body is decoded into; nil: there is none
	own   bool         // it reads one path parameter, r.joined.own
	query []string     // names of the query parameters that it reads
	value func(*Request) (T, error)
}

// Asked reads what is in the query, of which it names the parameters.
func Asked[T any](query []string, read func(*Request) (T, error)) Form[T] {
	return Form[T]{query: query, value: read}
}

// Named reads the path parameter that says what the operation is about.
func Named[T any](read func(name string) T) func() Form[T] {
	return func() Form[T] {
		return Form[T]{own: true, value: func(r *Request) (T, error) { return read(r.Path(r.joined.own)), nil }}
	}
}

// Told reads the body, and makes of it what a method takes.
func Told[B, T any](into func(B) T) func() Form[T] {
	return func() Form[T] {
		read := Body[B]()
		return Form[T]{body: read.body, value: func(r *Request) (T, error) {
			given, err := read.value(r)
			if err != nil {
				var none T
				return none, err
			}
			return into(given), nil
		}}
	}
}

// Nothing is read.
func Nothing() Form[service.Empty] {
	return Form[service.Empty]{value: func(*Request) (service.Empty, error) { return service.Empty{}, nil }}
}

// Body reads the body.
func Body[T any]() Form[T] {
	return Form[T]{body: reflect.TypeFor[T](), value: func(r *Request) (T, error) {
		into := new(T)
		err := r.decode(into)
		return *into, err
	}}
}

// include is the query parameter that asks for more in an answer.
const include = "include"

// judgedBody reads the body of a call that is judged.
func judgedBody[T any]() Form[T] {
	f := Body[T]()
	f.query = []string{include}
	return f
}

// ID reads the path parameter that says what the operation is about, beside the user or the webhook.
func ID[T ~string]() Form[T] {
	return Form[T]{own: true, value: func(r *Request) (T, error) { return T(r.Path(r.joined.own)), nil }}
}

// Index reads a path parameter that is a number.
func Index() Form[int] {
	return Form[int]{own: true, value: func(r *Request) (int, error) { return strconv.Atoi(r.Path(r.joined.own)) }}
}

// Change reads the path parameter that says what is changed, and the body that says how.
func Change[B, T any](into func(id string, body B) T) func() Form[T] {
	return func() Form[T] {
		return Form[T]{own: true, body: reflect.TypeFor[B](), value: func(r *Request) (T, error) {
			how := new(B)
			if err := r.decode(how); err != nil {
				var none T
				return none, err
			}
			return into(r.Path(r.joined.own), *how), nil
		}}
	}
}

// List reads the parameters of lists; the defaults are the contract's.
func List() Form[service.List] {
	return Form[service.List]{query: ListQuery(), value: func(r *Request) (service.List, error) { return ListIn(r.Query()), nil }}
}

// ListQuery are the names that ListIn reads.
func ListQuery() []string { return []string{"sort", "filter[]", "page", "pageSize"} }

// ListIn reads the parameters of a list that are in a query.
func ListIn(query url.Values) service.List {
	return service.List{
		Sort: query.Get("sort"), Filter: query["filter[]"], Page: NumberIn(query, "page", 1), PageSize: NumberIn(query, "pageSize", 10),
	}
}

// NumberIn returns a number that has been checked, or what the contract takes for one that is not there.
func NumberIn(query url.Values, name string, otherwise int) int {
	number, err := strconv.Atoi(query.Get(name))
	if err != nil {
		return otherwise
	}
	return number
}

// eventList reads the parameters of a list of events.
func eventList() Form[service.EventList] {
	return Form[service.EventList]{query: append(ListQuery(), "include"), value: func(r *Request) (service.EventList, error) {
		query := r.Query()
		engine := query.Get(include) == string(rest.ListPasskeyEventsParamsIncludeEngine)
		return service.EventList{List: ListIn(query), IncludeEngine: engine}, nil
	}}
}

// preferredBlock reads which block a visitor would like to see; nil: any.
func preferredBlock() Form[*frontend.BlockType] {
	return Form[*frontend.BlockType]{query: []string{"preferredBlock"}, value: func(r *Request) (*frontend.BlockType, error) {
		query := r.Query()
		if !query.Has("preferredBlock") {
			return nil, nil
		}
		block := frontend.BlockType(query.Get("preferredBlock"))
		return &block, nil
	}}
}
