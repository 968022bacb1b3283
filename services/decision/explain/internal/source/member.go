package source

import "github.com/open-policy-agent/opa/v1/ast"

// maxReferences bounds how far a member is looked for from rule to rule.
const maxReferences = 16

// ConstantMember finds the value of a member of an object that a term will make, if it is the same in any case: in the object itself, or
// in what a function makes of its arguments. It returns "" if there is no such text.
func (r *Rules) ConstantMember(term *ast.Term, key string, module *ast.Module) string {
	if found := r.member(term, key, module, 0); found != nil {
		if text, ok := found.Value.(ast.String); ok {
			return string(text)
		}
	}
	return ""
}

func (r *Rules) member(term *ast.Term, key string, module *ast.Module, depth int) *ast.Term {
	if term == nil || depth > maxReferences {
		return nil
	}
	switch v := term.Value.(type) {
	case ast.Object:
		return v.Get(ast.StringTerm(key))
	case ast.Var:
		return r.memberOfRule(ast.Ref{term}, key, module, depth)
	case ast.Ref:
		return r.memberOfRule(v, key, module, depth)
	case ast.Call:
		return r.memberOfCall(v, key, module, depth)
	}
	return nil
}

func (r *Rules) memberOfRule(ref ast.Ref, key string, module *ast.Module, depth int) *ast.Term {
	for _, d := range r.At(r.Resolve(ref, module).String()) {
		if found := r.member(d.Rule.Head.Value, key, d.Module, depth+1); found != nil {
			return found
		}
	}
	return nil
}

func (r *Rules) memberOfCall(call ast.Call, key string, module *ast.Module, depth int) *ast.Term {
	operator, ok := call[0].Value.(ast.Ref)
	if !ok {
		return nil
	}
	defs := r.At(r.Resolve(operator, module).String())
	for _, d := range defs {
		found := r.member(d.Rule.Head.Value, key, d.Module, depth+1)
		if found == nil {
			continue
		}
		for n, pattern := range d.Arguments() {
			if pattern.Equal(found) && n+1 < len(call) {
				return call[n+1]
			}
		}
		return found
	}
	if len(defs) > 0 {
		return nil
	}
	// Of objects that a builtin joins, the later ones win.
	for n := len(call) - 1; n > 0; n-- {
		if found := r.member(call[n], key, module, depth+1); found != nil {
			return found
		}
	}
	return nil
}
