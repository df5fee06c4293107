"""Tags: what a write touched is never answered from the cache again, whatever happens at the same time."""

from app.cache.tags import EVERYTHING, tag_key
from tests.support.cache_site import Site


def test_forget():
    """A forgotten tag ends every answer made from it at once; there is no stale one either."""
    site = Site()
    assert [site.get().text, site.get().text] == ["1", "1"]
    assert site.cache.forget(["things"])
    assert site.get().text == "2"


def test_other_tags_stay():
    """An answer that was not made from the tag stays."""
    site = Site()
    site.get()
    site.cache.forget(["people"])
    assert site.said() == "app; hit; "


def test_any_of_several_tags():
    """An answer with several tags ends with each of them."""
    site = Site(tags=("things", "people"))
    for tag in ("things", "people"):
        site.get()
        site.cache.forget([tag])
        assert site.said() == "app; fwd=miss; stored"


def test_everything():
    """Every answer, even one without a tag, has the tag that stands for all."""
    site = Site(tags=())
    site.get()
    site.cache.forget([EVERYTHING])
    assert site.said() == "app; fwd=miss; stored"


def test_forget_during_the_computation():
    """An answer whose computation began before a write is not served after it: it may have read the old rows."""
    site = Site()

    def slow():
        if site.calls == 1:
            site.cache.forget(["things"])
        return str(site.calls)

    site.view = slow
    assert [site.get().text, site.get().text, site.get().text] == ["1", "2", "2"]


def test_evicted_word():
    """When the store drops a tag's word, what was made under it is not trusted: the next word may be another."""
    site = Site()
    site.get()
    site.store.remove(tag_key("things"))
    assert site.get().text == "2"
    assert site.said() == "app; hit; "


def test_each_word_is_another():
    """Forgetting twice never brings back a word under which an old answer stands."""
    site = Site()
    words = set()
    for _ in range(20):
        site.cache.forget(["things"])
        words.add(site.store.read([tag_key("things")])[0])
    assert len(words) == 20


def test_releases_share_tags():
    """A tag's place has no release in it: each release's writes end the others' answers."""
    assert tag_key("things") == "cache:tag:things"
