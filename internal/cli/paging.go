package cli

import (
	"context"
	"encoding/base64"
	"encoding/json"

	"packhouse/internal/restjson"
)

// paging follows the pages of a list as the AWS CLI does: all of them, or up to
// --max-items with a NextToken to go on from.
type paging struct {
	row  restjson.Row
	list string // the member of the answer that holds the items
}

const (
	tokenMember = "nextToken"
	fieldToken  = "NextToken"
	fieldMax    = "MaxResults"
)

// newPaging is nil for operations that do not page.
func newPaging(row restjson.Row) *paging {
	var token, limit, tokenOut bool
	var lists []string
	for _, f := range row.Fields() {
		token = token || f.Name == fieldToken
		limit = limit || f.Name == fieldMax
	}
	for _, f := range row.OutputFields() {
		tokenOut = tokenOut || f.Wire == tokenMember
		if f.Kind == "list" {
			lists = append(lists, f.Wire)
		}
	}
	if !token || !limit || !tokenOut || len(lists) != 1 {
		return nil
	}
	return &paging{row: row, list: lists[0]}
}

// manual tells whether the caller pages by hand.
func (p *paging) manual(in input) bool {
	_, token := in[fieldToken]
	_, limit := in[fieldMax]
	return token || limit
}

// resume is a NextToken of ours: the server's token and how many items of its
// page have been seen. Its form is the AWS CLI's.
type resume struct {
	NextToken *string `json:"nextToken"`
	Skip      int     `json:"boto_truncate_amount,omitempty"`
}

func (p *paging) all(ctx context.Context, api *apiClient, in input, flags pagingFlags) (*object, error) {
	var at resume
	if flags.StartingToken != nil {
		data, err := base64.StdEncoding.DecodeString(*flags.StartingToken)
		if err != nil || json.Unmarshal(data, &at) != nil {
			return nil, usagef("--starting-token: not a token that this command printed")
		}
	}
	if flags.PageSize != nil {
		in[fieldMax] = *flags.PageSize
	}
	var whole *object
	items := []any{}
	for {
		if at.NextToken != nil {
			in[fieldToken] = *at.NextToken
		}
		page, err := api.call(ctx, p.row, in, nil)
		if err != nil {
			return nil, err
		}
		got, _ := page.values[p.list].([]any)
		got = got[min(at.Skip, len(got)):]
		if whole == nil {
			whole = page
		}
		next := page.text(tokenMember)
		if flags.MaxItems != nil && len(items)+len(got) >= *flags.MaxItems {
			keep := max(0, *flags.MaxItems-len(items))
			rest := resume{NextToken: at.NextToken, Skip: at.Skip + keep}
			more := keep < len(got)
			if !more && next != "" {
				rest, more = resume{NextToken: &next}, true
			}
			return p.finish(whole, append(items, got[:keep]...), rest, more)
		}
		items = append(items, got...)
		if next == "" {
			return p.finish(whole, items, resume{}, false)
		}
		at = resume{NextToken: &next}
	}
}

func (p *paging) finish(whole *object, items []any, rest resume, more bool) (*object, error) {
	whole.remove(tokenMember)
	whole.set(p.list, items)
	if more {
		data, err := json.Marshal(rest)
		if err != nil {
			return nil, err
		}
		whole.set("NextToken", base64.StdEncoding.EncodeToString(data))
	}
	return whole, nil
}
