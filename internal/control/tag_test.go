package control_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"
	"github.com/google/go-cmp/cmp"
)

func tags(pairs ...string) []types.Tag {
	var list []types.Tag
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, types.Tag{Key: &pairs[i], Value: &pairs[i+1]})
	}
	return list
}

func (h *house) tags(arn string) map[string]string {
	h.t.Helper()
	out := must[codeartifact.ListTagsForResourceOutput](h.t)(h.ListTagsForResource(h.t.Context(), &codeartifact.ListTagsForResourceInput{ResourceArn: &arn}))
	got := map[string]string{}
	for _, t := range out.Tags {
		got[*t.Key] = *t.Value
	}
	return got
}

func TestTags(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		must[codeartifact.CreateDomainOutput](t)(h.CreateDomain(ctx, &codeartifact.CreateDomainInput{Domain: new("corp"), Tags: tags("team", "a")}))
		must[codeartifact.CreateRepositoryOutput](t)(h.CreateRepository(ctx, &codeartifact.CreateRepositoryInput{Domain: new("corp"), Repository: new("repo"), Tags: tags("stage", "dev", "empty", "")}))
		if diff := cmp.Diff(map[string]string{"team": "a"}, h.tags(domainARN("corp"))); diff != "" {
			t.Error(diff)
		}
		arn := repositoryARN("repo")
		must[codeartifact.TagResourceOutput](t)(h.TagResource(ctx, &codeartifact.TagResourceInput{ResourceArn: &arn, Tags: tags("stage", "prod", "new", "x")}))
		must[codeartifact.UntagResourceOutput](t)(h.UntagResource(ctx, &codeartifact.UntagResourceInput{ResourceArn: &arn, TagKeys: []string{"empty", "unknown"}}))
		must[codeartifact.UntagResourceOutput](t)(h.UntagResource(ctx, &codeartifact.UntagResourceInput{ResourceArn: &arn, TagKeys: []string{}}))
		if diff := cmp.Diff(map[string]string{"stage": "prod", "new": "x"}, h.tags(arn)); diff != "" {
			t.Error(diff)
		}
		var many []types.Tag
		for i := range 49 {
			many = append(many, tags(fmt.Sprintf("k%d", i), "v")...)
		}
		_, err := h.TagResource(ctx, &codeartifact.TagResourceInput{ResourceArn: &arn, Tags: many})
		wantError(t, err, quota, 402)
		if got := h.tags(arn); len(got) != 2 {
			t.Errorf("the failed call left %v", got)
		}
		must[codeartifact.TagResourceOutput](t)(h.TagResource(ctx, &codeartifact.TagResourceInput{ResourceArn: &arn, Tags: many[:48]}))
	})
}

func TestTags_Refuses(t *testing.T) {
	h := lite(t)
	h.domain("corp")
	for _, c := range []struct {
		name, arn, code string
		status          int
	}{
		{"absent domain", domainARN("absent"), notFound, 404},
		{"absent repository", repositoryARN("absent"), notFound, 404},
		{"package group", "arn:aws:codeartifact:" + region + ":" + account + ":package-group/corp/npm/%2A", notFound, 404},
		{"package", "arn:aws:codeartifact:" + region + ":" + account + ":package/corp/repo/npm//x", invalid, 400},
		{"another region", "arn:aws:codeartifact:us-east-1:" + account + ":domain/corp", notFound, 404},
		{"another service", "arn:aws:s3:::corp", invalid, 400},
		{"no arn", "corp", invalid, 400},
		{"another account", "arn:aws:codeartifact:" + region + ":" + other + ":domain/corp", denied, 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := h.ListTagsForResource(t.Context(), &codeartifact.ListTagsForResourceInput{ResourceArn: &c.arn})
			wantError(t, err, c.code, c.status)
			_, err = h.TagResource(t.Context(), &codeartifact.TagResourceInput{ResourceArn: &c.arn, Tags: tags("a", "b")})
			wantError(t, err, c.code, c.status)
			_, err = h.UntagResource(t.Context(), &codeartifact.UntagResourceInput{ResourceArn: &c.arn, TagKeys: []string{"a"}})
			wantError(t, err, c.code, c.status)
		})
	}
	for name, list := range map[string][]types.Tag{"reserved": tags("aws:x", "y"), "twice": tags("a", "1", "a", "2")} {
		_, err := h.CreateRepository(t.Context(), &codeartifact.CreateRepositoryInput{Domain: new("corp"), Repository: new("repo"), Tags: list})
		if err == nil {
			t.Errorf("%s was taken", name)
			continue
		}
		wantError(t, err, invalid, 400)
	}
}

func TestCreate_WithTagsNeedsTagging(t *testing.T) {
	h := lite(t)
	h.domain("corp")
	c := h.user("creator", statement("Allow", "codeartifact:CreateRepository", "*"), statement("Allow", "codeartifact:CreateDomain", "*"))
	_, err := c.CreateRepository(t.Context(), &codeartifact.CreateRepositoryInput{Domain: new("corp"), Repository: new("repo"), Tags: tags("a", "b")})
	wantError(t, err, denied, 403)
	_, err = c.CreateDomain(t.Context(), &codeartifact.CreateDomainInput{Domain: new("second"), Tags: tags("a", "b")})
	wantError(t, err, denied, 403)
	// Conditions see the tags of the request.
	c = h.user("team", `{"Effect":"Allow","Action":["codeartifact:CreateRepository","codeartifact:TagResource"],"Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/team":"a"}}}`)
	_, err = c.CreateRepository(t.Context(), &codeartifact.CreateRepositoryInput{Domain: new("corp"), Repository: new("repo"), Tags: tags("team", "b")})
	wantError(t, err, denied, 403)
	must[codeartifact.CreateRepositoryOutput](t)(c.CreateRepository(t.Context(), &codeartifact.CreateRepositoryInput{Domain: new("corp"), Repository: new("repo"), Tags: tags("team", "a")}))
}
