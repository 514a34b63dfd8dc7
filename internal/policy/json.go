package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// node is one JSON value that remembers the order of its members, which a Go
// map would lose.
type node struct {
	kind     nodeKind
	text     string // of a string, number or boolean
	items    []node
	members  []member
	from, to int64 // of an object: the bytes just behind its braces
}

type member struct {
	name  string
	value node
}

type nodeKind uint8

const (
	nodeNull nodeKind = iota
	nodeString
	nodeNumber
	nodeBool
	nodeArray
	nodeObject
)

// maxDepth is how deep a document may nest. The deepest that has a meaning is
// document, statements, statement, condition, operator, values.
const maxDepth = 8

func readJSON(text []byte) (node, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	root, err := readNode(dec, 0)
	if errors.Is(err, io.EOF) {
		return node{}, errors.New("not complete JSON")
	}
	if err != nil {
		return node{}, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return node{}, errors.New("text after the end of the document")
	}
	return root, nil
}

func readNode(dec *json.Decoder, depth int) (node, error) {
	token, err := dec.Token()
	if err != nil {
		return node{}, err
	}
	switch v := token.(type) {
	case string:
		return node{kind: nodeString, text: v}, nil
	case json.Number:
		return node{kind: nodeNumber, text: v.String()}, nil
	case bool:
		return node{kind: nodeBool, text: strconv.FormatBool(v)}, nil
	case json.Delim:
		if depth == maxDepth {
			return node{}, fmt.Errorf("nested deeper than %d", maxDepth)
		}
		if v == '[' {
			return readArray(dec, depth)
		}
		return readObject(dec, depth)
	}
	return node{kind: nodeNull}, nil
}

func readArray(dec *json.Decoder, depth int) (node, error) {
	n := node{kind: nodeArray}
	for dec.More() {
		item, err := readNode(dec, depth+1)
		if err != nil {
			return node{}, err
		}
		n.items = append(n.items, item)
	}
	_, err := dec.Token() // the closing bracket
	return n, err
}

func readObject(dec *json.Decoder, depth int) (node, error) {
	n := node{kind: nodeObject, from: dec.InputOffset()}
	seen := map[string]bool{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return node{}, err
		}
		name, _ := token.(string)
		if seen[name] {
			return node{}, fmt.Errorf("element %q stands twice in one object", name)
		}
		seen[name] = true
		value, err := readNode(dec, depth+1)
		if err != nil {
			return node{}, err
		}
		n.members = append(n.members, member{name: name, value: value})
	}
	_, err := dec.Token() // the closing brace
	n.to = dec.InputOffset()
	return n, err
}

// orList is the items of an array, or the value itself as a list of one.
func (n *node) orList() []node {
	if n.kind == nodeArray {
		return n.items
	}
	return []node{*n}
}

func (n *node) str() (string, error) {
	if n.kind != nodeString {
		return "", errors.New("want a string")
	}
	return n.text, nil
}

// strs reads a string or a non-empty list of strings.
func (n *node) strs() ([]string, error) {
	list := n.orList()
	out := make([]string, 0, len(list))
	for i := range list {
		if list[i].kind != nodeString {
			return nil, errors.New("want a string or a list of strings")
		}
		out = append(out, list[i].text)
	}
	if len(out) == 0 {
		return nil, errors.New("must not be an empty list")
	}
	return out, nil
}

// scalars is strs that takes numbers and booleans as their text.
func (n *node) scalars() ([]string, error) {
	list := n.orList()
	out := make([]string, 0, len(list))
	for i := range list {
		switch list[i].kind {
		case nodeString, nodeNumber, nodeBool:
			out = append(out, list[i].text)
		default:
			return nil, errors.New("want a string, number or boolean, or a list of them")
		}
	}
	if len(out) == 0 {
		return nil, errors.New("must not be an empty list")
	}
	return out, nil
}
