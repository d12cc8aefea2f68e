local FILE = "allowed_pages.txt"

local function isAccepted(app, pageUrl)
    local client = app:connect { pageUrl = pageUrl }
    assert.not_equal(client.accepted, client.rejected ~= nil)
    return client.accepted
end

describe("allowed pages", function()
    it("accepts clients of the pages that the file names, and no others", function()
        local app = start { files = { [FILE] = "# pages\nexample.com # ours\r\n\n  *.Example.org\n" } }
        for _, page in ipairs {
            "http://example.com/", "https://EXAMPLE.com:8443/game?x#y", "https://example.com", "http://a.example.org/", "http://a.b.example.org",
        } do
            assert.is_true(isAccepted(app, page), page)
        end
        for _, page in ipairs {
            "", "example.com", "ftp://example.com/", "http://a.example.com/", "http://example.org/", "http://evil.example/example.com",
            "http://example.com.evil.example/", "http://example.com@evil.example/", "http://evil.example?http://example.com/",
            "http://.example.org/", "http:///example.com", "# pages",
        } do
            assert.is_false(isAccepted(app, page), page)
        end
        assert.same({}, app.failures)
    end)

    it("follows the file when it changes, and keeps the last list while there is none", function()
        local app = start { files = { [FILE] = "example.com" } }
        app:write(FILE, "example.net")
        assert.is_false(isAccepted(app, "http://example.com/"))
        assert.is_true(isAccepted(app, "http://example.net/"))
        app:write(FILE, nil)
        assert.is_true(isAccepted(app, "http://example.net/"))
        assert.equal(1, #app.traces)
        app:write(FILE, "")
        assert.is_false(isAccepted(app, "http://example.net/"))
    end)

    it("accepts nobody until there is a list", function()
        local app = start { files = {} }
        assert.is_false(isAccepted(app, "http://example.com/"))
        app:write(FILE, "example.com")
        assert.is_true(isAccepted(app, "http://example.com/"))
    end)

    it("comes with a list", function()
        local app = start()
        assert.is_true(isAccepted(app, "http://example.com/"))
        assert.is_true(isAccepted(app, "http://www.example.org/"))
        assert.is_false(isAccepted(app, "http://example.net/"))
    end)
end)
