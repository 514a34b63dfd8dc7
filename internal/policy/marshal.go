package policy

import (
	"bytes"
	"encoding/json"
)

// MarshalJSON writes d in one canonical form: elements in AWS's customary
// order, lists always as lists, operators in their proper case. Parsing it
// gives an equal document.
func (d *Document) MarshalJSON() ([]byte, error) {
	w := &jsonWriter{}
	w.open('{')
	if d.version != "" {
		w.member("Version", d.version)
	}
	if d.id != "" {
		w.member("Id", d.id)
	}
	w.name("Statement")
	w.open('[')
	for i := range d.statements {
		w.separate()
		d.statements[i].marshal(w)
	}
	w.close(']')
	w.close('}')
	return w.buf.Bytes(), w.err
}

func (s *statement) marshal(w *jsonWriter) {
	w.open('{')
	if s.ref.Sid != "" {
		w.member("Sid", s.ref.Sid)
	}
	w.member("Effect", s.effect.String())
	if s.principals != nil {
		w.name(notIf(s.principals.negated, "Principal"))
		s.principals.marshal(w)
	}
	w.member(notIf(s.actions.negated, "Action"), s.actions.text)
	if s.resources.present {
		w.member(notIf(s.resources.negated, "Resource"), s.resources.text)
	}
	if len(s.conditions) > 0 {
		w.name("Condition")
		marshalConditions(w, s.conditions)
	}
	w.close('}')
}

func (ps *principals) marshal(w *jsonWriter) {
	if ps.star {
		w.value("*")
		return
	}
	w.open('{')
	for i := 0; i < len(ps.entries); {
		group := ps.entries[i].group
		var texts []string
		for ; i < len(ps.entries) && ps.entries[i].group == group; i++ {
			texts = append(texts, ps.entries[i].text)
		}
		w.member(group, texts)
	}
	w.close('}')
}

// marshalConditions relies on Parse leaving the keys of one operator together.
func marshalConditions(w *jsonWriter, conditions []condition) {
	w.open('{')
	for i := 0; i < len(conditions); {
		operator := conditions[i].operatorText()
		w.name(operator)
		w.open('{')
		for ; i < len(conditions) && conditions[i].operatorText() == operator; i++ {
			w.member(conditions[i].keyText, conditions[i].values)
		}
		w.close('}')
	}
	w.close('}')
}

func notIf(negated bool, element string) string {
	if negated {
		return "Not" + element
	}
	return element
}

// jsonWriter writes members in the order they are given.
type jsonWriter struct {
	buf bytes.Buffer
	err error
}

func (w *jsonWriter) open(bracket byte)  { w.buf.WriteByte(bracket) }
func (w *jsonWriter) close(bracket byte) { w.buf.WriteByte(bracket) }

func (w *jsonWriter) separate() {
	if last := w.buf.Bytes()[w.buf.Len()-1]; last != '{' && last != '[' {
		w.buf.WriteByte(',')
	}
}

func (w *jsonWriter) name(name string) {
	w.separate()
	w.value(name)
	w.buf.WriteByte(':')
}

func (w *jsonWriter) member(name string, value any) {
	w.name(name)
	w.value(value)
}

func (w *jsonWriter) value(v any) {
	enc := json.NewEncoder(&w.buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil && w.err == nil {
		w.err = err
	}
	w.buf.Truncate(w.buf.Len() - 1) // the encoder's line end
}
